"""Whether Terraform finds the state where the config says it is, and nothing that was checked is
some other state.

A workspace and options in the environment lead Terraform elsewhere. And its working data remember
the backend of the last run: it asks what to do if the config names another one, where nobody can
answer. Moving a state is left to people: a copy that went wrong would lose a stack.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from constructs_lib.config.document import TO_THE_PROJECT, DeployConfig, S3Backend
from tools.deployed_stack import WrongState

DEFAULT_WORKSPACE = "default"
REDIRECTING = ("state", "backend-config", "migrate-state")
"""Options of Terraform that lead to another state begin with these words."""


def require_plain(environ: Mapping[str, str], data: Path) -> None:
    """Raises WrongState if Terraform would be led to another state than the config's."""
    workspace = environ.get("TF_WORKSPACE") or DEFAULT_WORKSPACE
    if workspace != DEFAULT_WORKSPACE:
        raise _elsewhere(f"TF_WORKSPACE={workspace}", "unset TF_WORKSPACE")
    for name, value in environ.items():
        options = [word.lstrip("-") for word in value.split() if word.startswith("-")]
        if name.startswith("TF_CLI_ARGS") and any(o.startswith(REDIRECTING) for o in options):
            raise _elsewhere(f"{name}={value}", "take the option out of it")
    selected = data / "environment"
    if selected.exists() and selected.read_text(encoding="utf-8").strip() != DEFAULT_WORKSPACE:
        raise _elsewhere(f"the workspace in {selected}", "remove this file")


def require_same_backend(config: DeployConfig, data: Path) -> None:
    """Let Terraform begin afresh where only settings of the backend changed, such as its profile.

    Raises WrongState if the last run had its state in another place.
    """
    memory = data / "terraform.tfstate"
    before, place = _remembered(memory), _place_of(config)
    if before not in (None, place):
        raise WrongState(
            f"the last run had its state in {before}, and `backend` in the config says {place}. "
            "Either put `backend` back. Or copy the state there (`aws s3 cp`, or `cp` between "
            f"files), unless it is there already, and remove {memory}, which remembers the last run"
        )
    memory.unlink(missing_ok=True)


def _elsewhere(what: str, remedy: str) -> WrongState:
    return WrongState(
        f"{what} leads Terraform to another state than the one of the config, which is all that "
        f"was checked: {remedy}. Each prefix and region has a state of its own without it"
    )


def _remembered(memory: Path) -> str | None:
    try:
        backend: Mapping[str, Any] = json.loads(memory.read_text(encoding="utf-8"))["backend"]
        given = backend["config"]
        if backend["type"] == "s3":
            return f"s3://{given['bucket']}/{given['key']}"
        local = backend["type"] == "local"
        return str(given["path"]).removeprefix(TO_THE_PROJECT) if local else str(backend["type"])
    except (OSError, ValueError, KeyError, TypeError):
        return None  # nothing that Terraform would go by


def _place_of(config: DeployConfig) -> str:
    backend = config.backend
    if isinstance(backend, S3Backend):
        return backend.place
    return config.state_file
