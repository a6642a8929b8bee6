"""Resolves JumpStart models to what hosts them, once, into `configs/models.lock.json`.

`document` is pure; `locking` puts config, hub and lock together; `hub` alone knows boto3.
"""
