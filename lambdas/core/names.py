"""Names of endpoints, and their keys in the state table."""

from __future__ import annotations

import re

from lambdas.core.errors import InvalidField

PK_PREFIX = "ENDPOINT#"
"""How the keys of endpoints begin in the tables, where other items lie beside them."""
MAX_NAME_LENGTH = 63
_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9])*")


def sagemaker_name(text: str, field: str) -> str:
    """Return `text` if SageMaker accepts it as a name of an endpoint, config or variant.

    Raises InvalidField with `field`. Source of the rule:
    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateEndpoint.html
    """
    if len(text) > MAX_NAME_LENGTH or not _NAME.fullmatch(text):
        raise InvalidField(
            field,
            f"must be 1 to {MAX_NAME_LENGTH} letters, digits or hyphens, "
            "beginning and ending with a letter or digit",
        )
    return text


def endpoint_key(name: str) -> str:
    """The case-folded name, because SageMaker compares endpoint names without case."""
    return name.casefold()
