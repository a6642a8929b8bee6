"""Asks a real account what rests on recorded assumptions: `python -m tools.verify_aws`.

tests/facts/facts.toml says which facts these are, and where each was read.
"""
