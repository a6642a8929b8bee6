"""What `terraform apply -json` says while it works."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

CHANGES = {"create", "update", "delete"}
WAIT = re.compile(r"wait(_\d+)?")
"""Names the invocations that last until running endpoints have moved to their new configs."""


@dataclass
class Apply:
    """An apply as far as it has been heard of."""

    show: Callable[[str], None]
    """Told how far it is, whenever that changes."""
    planned: int = 0
    done: int = 0
    summary: str = ""
    errors: list[str] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)

    def hear(self, line: str) -> None:
        """Take in one line; what is no message of Terraform's is an error text of something."""
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
            case _:  # of no interest here
                pass

    def _show_count(self, more: str = "") -> None:
        self.show(f"{self.done}/{self.planned} resources{more}")


def _sentence(diagnostic: Mapping[str, Any]) -> str:
    where = f" ({diagnostic['address']})" if diagnostic.get("address") else ""
    detail = f"\n{diagnostic['detail']}" if diagnostic.get("detail") else ""
    return f"{diagnostic['summary']}{where}{detail}"
