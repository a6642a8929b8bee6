"""What the name of an instance type says about its hardware."""

from __future__ import annotations

import re

_FAMILY = re.compile(r"ml\.([a-z0-9-]+)\.")
# And families with a "d": https://docs.aws.amazon.com/sagemaker/latest/dg/host-instance-storage.html
_WITH_DISKS = ("g5", "g6", "p5", "p6", "trn1", "trn2")
_INFERENTIA_1 = "inf1"


def family(instance_type: str) -> str:
    """`g5` of `ml.g5.12xlarge`; empty if it is not an instance type."""
    found = _FAMILY.match(instance_type)
    return found[1] if found else ""


def has_local_storage(instance_type: str) -> bool:
    """Whether the type has local disks. Then it gets no volume, and no key for a volume."""
    name = family(instance_type)
    return name.startswith(_WITH_DISKS) or "d" in name.partition("-")[0]


def is_inferentia_1(instance_type: str) -> bool:
    return family(instance_type) == _INFERENTIA_1
