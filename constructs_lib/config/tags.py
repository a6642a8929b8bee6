"""The field `tags` of an entry: what SageMaker takes, and what is not the config's to say.

One wrong character in a value and SageMaker refuses to create the endpoint, each time. Patterns:
https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_Tag.html
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

from constructs_lib.config.problems import Problem
from lambdas.core.settings import IGNORE_TAG_KEY, STACK_TAG_KEY

MAX_TAGS = 49  # SageMaker allows 50, and one is ours
_MAX_KEY = 128
_SIGNS = frozenset("_.:/=+-@")
_CATEGORIES = frozenset("LNZ")
_CHARACTERS = "letters, digits, blanks or any of _ . : / = + - @"


def tag_problems(where: str, tags: object) -> Iterator[Problem]:
    """Problems with the field at the path `where`, which may be no object at all."""
    for key, value in tags.items() if isinstance(tags, dict) else ():
        if key.casefold().startswith("aws:"):
            yield Problem(where, f"'{key}': keys that begin with 'aws:' belong to AWS")
        elif key == STACK_TAG_KEY:
            yield Problem(where, f"'{key}' is this product's own tag, which it puts on by itself")
        elif key == IGNORE_TAG_KEY:
            rule = "keeps an endpoint off the meter; take the entry out of the config instead"
            yield Problem(where, f"'{key}' {rule}")
        elif not 1 <= len(key) <= _MAX_KEY or not _is_taken(key):
            yield Problem(where, f"'{key}': a key is 1 to {_MAX_KEY} {_CHARACTERS}")
        if isinstance(value, str) and not _is_taken(value):
            yield Problem(f"{where}.{key}", f"'{value}': a value is {_CHARACTERS}")


def _is_taken(text: str) -> bool:
    r"""Whether each character is in SageMaker's pattern, `[\p{L}\p{Z}\p{N}_.:/=+\-@]`."""
    return all(c in _SIGNS or unicodedata.category(c)[0] in _CATEGORIES for c in text)
