"""The real Terraform and the real AWS provider, in a temporary folder."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.contract.emulator_process import Emulator
from tests.synth.synthesis import Stack
from tools import terraform_cli


@dataclass(frozen=True)
class Terraform:
    """Terraform in a folder of its own; state is kept between calls."""

    folder: Path
    environment: Mapping[str, str]

    @classmethod
    def at(cls, folder: Path) -> Terraform:
        return cls(folder, {**terraform_cli.environment(), "TF_IN_AUTOMATION": "1"})

    def with_aws(self, emulator: Emulator) -> Terraform:
        """The same, with the emulator as AWS."""
        aws = {
            **emulator.key.environment,
            "AWS_ENDPOINT_URL": emulator.url,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        return replace(self, environment={**self.environment, **aws})

    def take(self, document: Mapping[str, Any]) -> None:
        (self.folder / "cdk.tf.json").write_text(json.dumps(document, indent=1))

    def take_module(self, name: str, stack: Stack) -> None:
        """Write a stack to a subfolder, as a module."""
        (self.folder / name).mkdir()
        replace(self, folder=self.folder / name).take(without_backend(stack))

    def run(self, *arguments: str) -> str:
        done = self._done(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def refusal(self, *arguments: str) -> str:
        """What it says when it fails, in one line."""
        done = self._done(*arguments)
        assert done.returncode == 1, done.stdout
        return " ".join(done.stderr.split())

    def _done(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [terraform_cli.require(), *arguments],
            cwd=self.folder,
            env=dict(self.environment),
            capture_output=True,
            text=True,
            check=False,
        )

    def plan(self) -> Mapping[str, str]:
        """The planned action of each address that would change."""
        messages = map(json.loads, self.run("plan", "-input=false", "-json").splitlines())
        changes = [m["change"] for m in messages if m["type"] == "planned_change"]
        return {change["resource"]["addr"]: change["action"] for change in changes}

    def assert_valid(self) -> None:
        self.run("init", "-backend=false", "-input=false", "-no-color")
        report = json.loads(self.run("validate", "-json"))
        assert report["valid"], report["diagnostics"]
        assert report["diagnostics"] == []


def without_backend(stack: Stack) -> dict[str, Any]:
    """The document of a stack without its backend: state stays in Terraform's folder."""
    settings = {k: v for k, v in stack.document["terraform"].items() if k != "backend"}
    return {**stack.document, "terraform": settings}
