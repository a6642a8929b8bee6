"""What the last `terraform apply` left. If it is still so, `make up` need not ask Terraform, which
takes longer to load its provider than to compare.

The stack, Terraform's state and the start of the embedded AWS have to be the same, and whatever the
embedded AWS listed has to be there. A resource that somebody changed by hand and left in place is
not noticed: docs/decisions/0109-second-up.md.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import botocore.session

from local.places import Places
from local.stack_file import write_private

STATE = "terraform.tfstate"


def outputs(places: Places) -> Mapping[str, Any] | None:
    """Return the outputs of the last apply, or None if Terraform has to apply again."""
    try:
        left = json.loads(places.applied.read_text(encoding="utf-8"))
        same = left["digest"] == _digest(places)
        there = same and set(left["resources"]) <= set(_resources())
        found: Mapping[str, Any] | None = left["outputs"] if there else None
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return found


def note(places: Places, outputs: Mapping[str, Any]) -> None:
    """Remember an apply that succeeded."""
    left = {"digest": _digest(places), "resources": _resources(), "outputs": outputs}
    write_private(places.applied, json.dumps(left))


def forget(places: Places) -> None:
    """An apply that begins may leave anything."""
    places.applied.unlink(missing_ok=True)


def _digest(places: Places) -> str:
    """Of the stack, of what Terraform knows of it, and of the key of the embedded AWS, which each
    start makes anew."""
    stack = sorted(path for path in places.synthesized.rglob("*") if path.is_file())
    whole = hashlib.sha256()
    for path in (*stack, places.terraform / STATE, places.key):
        content = path.read_bytes()
        whole.update(f"{path}\n{len(content)}\n".encode() + content)
    return whole.hexdigest()


def _resources() -> list[str]:
    """The ARNs of tables, queues, functions, roles and others: what may have tags."""
    client = botocore.session.Session().create_client("resourcegroupstaggingapi")
    pages = client.get_paginator("get_resources").paginate()
    return sorted(each["ResourceARN"] for page in pages for each in page["ResourceTagMappingList"])
