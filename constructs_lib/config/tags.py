"""The fields `tags`, of the config and of an entry: what AWS takes, and what is not the config's to
say. SageMaker is as strict as any service.

One wrong character in a value and SageMaker refuses to create the endpoint, each time. Patterns:
https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_Tag.html
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from constructs_lib.canonical import canonical
from constructs_lib.config.problems import Problem
from lambdas.core.settings import IGNORE_TAG_KEY, STACK_TAG_KEY

MAX_TAGS = 49  # AWS allows 50, and one is ours
MAX_STACK_TAGS_BYTES = 2_500
"""As JSON in the environment of the function that starts endpoints. All its variables may take 4 KB
together, and the others take less than the rest."""
_MAX_KEY = 128
_SIGNS = frozenset("_.:/=+-@")
_CATEGORIES = frozenset("LNZ")
_CHARACTERS = "letters, digits, blanks or any of _ . : / = + - @"


def tag_problems(where: str, tags: object) -> Iterator[Problem]:
    """Problems with the field at the path `where`, which may be no object at all."""
    for key, value in tags.items() if isinstance(tags, dict) else ():
        if key.casefold().startswith("aws:"):
            yield Problem(where, f"'{key}': keys that begin with 'aws:' belong to AWS")
        # In conditions of IAM, keys of tags are compared without case.
        elif key.casefold() == STACK_TAG_KEY:
            yield Problem(where, f"'{key}' is this product's own tag, which it puts on by itself")
        elif key.casefold() == IGNORE_TAG_KEY:
            rule = "keeps an endpoint off the meter; take the entry out of the config instead"
            yield Problem(where, f"'{key}' {rule}")
        elif not 1 <= len(key) <= _MAX_KEY or not _is_taken(key):
            yield Problem(where, f"'{key}': a key is 1 to {_MAX_KEY} {_CHARACTERS}")
        if isinstance(value, str) and not _is_taken(value):
            yield Problem(f"{where}.{key}", f"'{value}': a value is {_CHARACTERS}")


def stack_tag_problems(tags: object, entries: Sequence[Mapping[str, Any]]) -> Iterator[Problem]:
    """Problems with the config's own `tags`, also with those of the entries laid over them."""
    yield from tag_problems("tags", tags)
    common = tags if isinstance(tags, dict) else {}
    yield from _same_to_iam("tags", common, under={})
    size = len(json.dumps(canonical(common)))
    if size > MAX_STACK_TAGS_BYTES:
        yield Problem(
            "tags",
            f"take {size:,} bytes as JSON, and {MAX_STACK_TAGS_BYTES:,} fit into the environment "
            "of the function that starts endpoints: shorten them",
        )
    for index, entry in enumerate(entries):
        own, where = entry.get("tags"), f"jumpstart_models[{index}].tags"
        if not isinstance(own, dict):
            continue
        yield from _same_to_iam(where, own, under=common)
        if common and len({*common, *own}) > MAX_TAGS:
            yield Problem(
                where,
                f"make {len({*common, *own})} tags with those of the config, and at most "
                f"{MAX_TAGS} go on an endpoint beside this product's own; remove some",
            )


def _same_to_iam(
    where: str, tags: Mapping[str, Any], under: Mapping[str, Any]
) -> Iterator[Problem]:
    """Keys of tags that are laid over others, where two of them are one to IAM."""
    written = {key.casefold(): key for key in under}
    for key in tags:
        other = written.setdefault(key.casefold(), key)
        if other != key:
            rule = "differ in nothing but case, which IAM takes for one key; keep one of them"
            yield Problem(where, f"'{other}' and '{key}' {rule}")


def _is_taken(text: str) -> bool:
    r"""Whether each character is in SageMaker's pattern, `[\p{L}\p{Z}\p{N}_.:/=+\-@]`."""
    return all(c in _SIGNS or unicodedata.category(c)[0] in _CATEGORIES for c in text)
