"""Reads the output of `terraform apply -json`."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

CHANGES = {"create", "update", "delete"}
WAIT = re.compile(r"wait(_\d+)?")
"""The names of the invocations that wait until running endpoints have their new configs."""


@dataclass
class Apply:
    """The state of a running apply, from its messages so far."""

    show: Callable[[str], None]
    """Called with the progress, whenever it changes."""
    planned: int = 0
    done: int = 0
    summary: str = ""
    errors: list[str] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)

    def hear(self, line: str) -> None:
        """Process one line. A line that is not a message of Terraform counts as an error text."""
        try:
            message = json.loads(line)
        except ValueError:
            if line.strip():
                self.errors.append(line.rstrip())
            return
        match message:
            case {"type": "refresh_start" | "refresh_complete"}:
                self.show("comparing")
            case {"type": "change_summary", "changes": {"operation": "plan"} as changes}:
                self.planned = changes["add"] + changes["change"] + changes["remove"]
                self._show_count()
            case {"type": "change_summary", "@message": str(text)}:
                self.summary = text
            case {"type": "apply_complete", "hook": {"action": action}} if action in CHANGES:
                self.done += 1
                self._show_count()
            case {"type": "apply_progress", "hook": {"resource": {"resource_name": str(name)}}}:
                self._show_count("; waiting for endpoints" if WAIT.fullmatch(name) else "")
            case {"type": "diagnostic", "diagnostic": {"severity": "error"} as diagnostic}:
                self.errors.append(_sentence(diagnostic))
            case {"type": "outputs", "outputs": outputs}:
                self.outputs = {k: v["value"] for k, v in outputs.items() if "value" in v}
            case _:  # not needed here
                pass

    def _show_count(self, more: str = "") -> None:
        self.show(f"{self.done}/{self.planned} resources{more}")


def _sentence(diagnostic: Mapping[str, Any]) -> str:
    where = f" ({diagnostic['address']})" if diagnostic.get("address") else ""
    detail = f"\n{diagnostic['detail']}" if diagnostic.get("detail") else ""
    return f"{diagnostic['summary']}{where}{detail}"
