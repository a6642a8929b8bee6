"""Which AWS provider Terraform may use: its versions, and the hashes that are locked.

`configs/provider.lock.hcl` is a lock file of Terraform, made by `make lock-provider`. A synth
writes it beside the stack if it does for every platform from which people plan and deploy.
"""

from __future__ import annotations

import re
from pathlib import Path

from constructs_lib.text_file import NotText, utf_8

PROVIDER_SOURCE = "hashicorp/aws"
TESTED_PROVIDER = "5.100.0"
PROVIDER_VERSIONS = f"~> {TESTED_PROVIDER}"  # only its last number may be higher
PLATFORMS = ("linux_amd64", "linux_arm64", "darwin_amd64", "darwin_arm64")
NAME = ".terraform.lock.hcl"

_BLOCK = re.compile(
    r'^provider "[\w.-]+/hashicorp/aws" \{\n(.*?)^\}', re.MULTILINE | re.DOTALL
)  # ends at the first brace of a line of its own
_VERSION = re.compile(r'^\s*version\s*=\s*"([^"]+)"', re.MULTILINE)
_HASH = re.compile(r'"(h1:[\w+/=]+)"')


def shortcoming(text: str) -> str | None:
    """Why this lock file is of no use, None if it is.

    A lock file does not say which hash is of which platform, but each has one of its own.
    """
    block = _BLOCK.search(text)
    if block is None:
        return f"it does not lock {PROVIDER_SOURCE}"
    version = _VERSION.search(block[1])
    found = version[1] if version else "no version"
    if found.rpartition(".")[0] != TESTED_PROVIDER.rpartition(".")[0]:
        return f"it locks {found}, and the stack requires {PROVIDER_VERSIONS}"
    hashes = len(set(_HASH.findall(block[1])))
    if hashes < len(PLATFORMS):
        return f"it has {hashes} of the {len(PLATFORMS)} hashes (h1) of {', '.join(PLATFORMS)}"
    return None


def place(source: Path, outdir: Path) -> str | None:
    """Write the lock file beside each synthesized stack; returns why not if it is of no use.

    Without `source` nothing is written, and nothing is missing: Terraform then locks what it finds.
    """
    if not source.exists():
        return None
    text = ""
    try:
        text = utf_8(source.read_bytes())
        unusable = shortcoming(text)
    except NotText as error:
        unusable = str(error)
    if unusable:
        return f"{source.name} is not used: {unusable}. `make lock-provider` makes it anew"
    for stack in outdir.glob("stacks/*/cdk.tf.json"):
        stack.with_name(NAME).write_text(text, encoding="utf-8")
    return None
