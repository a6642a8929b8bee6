"""In which partition of AWS a region is. ARNs begin with it."""

from __future__ import annotations

_OTHERS = {
    "cn-": "aws-cn",
    "us-gov-": "aws-us-gov",
    "us-iso-": "aws-iso",
    "us-isob-": "aws-iso-b",
    "eu-isoe-": "aws-iso-e",
    "us-isof-": "aws-iso-f",
    "eusc-": "aws-eusc",
}
"""By how the names of their regions begin. A test compares them with botocore's data."""


def partition_of(region: str) -> str:
    """The partition of a region."""
    others = (name for start, name in _OTHERS.items() if region.startswith(start))
    return next(others, "aws")
