"""Resolves JumpStart models to what hosts them, and writes `configs/models.lock.json`.

`hub_document` is pure, `locking` combines config, hub and lock, and only `hub` uses boto3.
"""
