"""The names of IAM roles, as policies know them."""

from __future__ import annotations

LENGTH, DIGEST_LENGTH = 64, 8
MOST_OF_START = LENGTH - len("-") - DIGEST_LENGTH
"""How much of a name stays as it is, however long the rest is. Policies go by it."""


def role_start(prefix: str, region: str, name_prefix: str) -> str:
    """What the names of all roles of a stack begin with."""
    return f"{name_prefix}{prefix}-{region}-"
