"""Synthesizing a config, and reading the JSON of the stack."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import main

DEFAULT = main.PROJECT / "configs" / "configs.json"
EXAMPLES = sorted((main.PROJECT / "configs" / "examples").glob("*.json"))
COMBINED = main.PROJECT / "configs" / "examples" / "combined.json"
REFERENCE = (
    "falcon-lambda",
    "flan-api",
    "flan-async",
    "flan-date",
    "flan-lambda",
    "flan-two-date-schedules",
    "flan-two-interval-schedules",
    "flan-weekdays",
)
"""The examples of the original, by the names of their files."""
FLAN: Mapping[str, Any] = {
    "name": "FlanT5",
    "model_id": "huggingface-text2text-flan-t5-xxl",
    "inference_instance_type": "ml.g5.12xlarge",
    "inference_type": "realtime",
}
_REFERENCE = re.compile(r"\b(aws_\w+)\.([\w-]+)\.")


def config_with(*models: Mapping[str, Any], **extra: Any) -> dict[str, Any]:
    """A valid config with these models; `extra` adds fields."""
    return {
        "project_prefix": "demo",
        "region_name": "us-east-1",
        "ddb_auth_table_name": "auth",
        "jumpstart_models": [dict(model) for model in models],
        **extra,
    }


@dataclass(frozen=True)
class Stack:
    """A synthesized stack: the JSON that Terraform reads."""

    folder: Path
    document: Mapping[str, Any]

    def all(self, kind: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.document["resource"].get(kind, {})
        return found

    def one(self, kind: str, logical_id: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.document["resource"][kind][logical_id]
        return found

    def statements(self, role: str) -> list[Mapping[str, Any]]:
        """The statements of the role policy at `aws_iam_role_policy.{role}`."""
        policy = json.loads(self.one("aws_iam_role_policy", role)["policy"])
        found: list[Mapping[str, Any]] = policy["Statement"]
        return found

    def upstream(self, address: str) -> set[str]:
        """Every address that Terraform creates before `address` and destroys after it."""
        seen: set[str] = set()
        waiting = [address]
        while waiting:
            found = set(self._referred(waiting.pop())) - seen
            seen |= found
            waiting += found
        return seen

    def references(self, address: str) -> set[str]:
        """The managed resources that `address` refers to, through data sources too."""
        direct = set(self._referred(address))
        through = [self.references(other) for other in direct if other.startswith("data.")]
        return {other for other in direct if not other.startswith("data.")}.union(*through)

    def _referred(self, address: str) -> Iterator[str]:
        section = "data" if address.startswith("data.") else "resource"
        kind, logical_id = address.removeprefix("data.").split(".", 1)
        body = self.document[section][kind][logical_id]
        text = json.dumps({key: value for key, value in body.items() if key != "//"})
        for found in _REFERENCE.finditer(text):
            if found[2] in self.document["resource"].get(found[1], {}):
                yield f"{found[1]}.{found[2]}"
        yield from body.get("depends_on", [])


def synthesize(config: Path, outdir: Path, overlay: Path | None = None) -> Stack:
    environment = {"CONFIG": str(config)}
    if overlay:
        environment["CONFIG_OVERLAY"] = str(overlay)
    # main.build imports the constructs quickly: no test may import them before this call
    main.build(environment, outdir).synth()
    (folder,) = (outdir / "stacks").iterdir()
    return Stack(folder, json.loads((folder / "cdk.tf.json").read_text()))
