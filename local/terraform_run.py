"""Terraform on a working copy of the synthesized stack, against the embedded AWS only."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from local.places import Places
from local.steps import Step
from local.terraform_output import Apply

KEPT = {".terraform", ".terraform.lock.hcl", "terraform.tfstate", "terraform.tfstate.backup"}
BACKEND_HERE = {"terraform": {"backend": {"local": {"path": "terraform.tfstate"}}}}


class TerraformFailedError(Exception):
    """Terraform ended with an error; the message is what it said."""


@dataclass(frozen=True)
class Terraform:
    """Terraform, its environment and the folder that it works in."""

    binary: str
    environment: Mapping[str, str]
    places: Places

    def take(self, stack: Path) -> None:
        """Make the working copy that of a newly synthesized stack, and keep its state."""
        folder = self.places.terraform
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.iterdir():
            if old.name not in KEPT:
                shutil.rmtree(old) if old.is_dir() else old.unlink()
        shutil.copytree(stack, folder, dirs_exist_ok=True)
        # The stack's own backend, local or S3, is that of a real account.
        override = folder / "backend_override.tf.json"
        override.write_text(json.dumps(BACKEND_HERE), encoding="utf-8")

    def init(self) -> None:
        """Fetch the provider. Raises TerraformFailedError."""
        done = subprocess.run(
            self._command("init", "-no-color"),
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        self.places.log("terraform-init").write_text(done.stdout, encoding="utf-8")
        if done.returncode:
            raise TerraformFailedError(done.stdout.strip())

    def apply(self, step: Step) -> Apply:
        """Change the stack to what the working copy says. Raises TerraformFailedError.

        From the plan to Terraform's own end there is a mark that changes are under way. Terraform
        cut off then, even politely, knows nothing of what it was just creating.
        """
        told = Apply(step.progress)
        command = self._command("apply", "-json", "-auto-approve", "-parallelism=30")
        with (
            self.places.log("terraform-apply").open("w", buffering=1) as log,
            self._running(command) as process,
        ):
            assert process.stdout is not None  # it is a pipe
            for line in process.stdout:
                log.write(line)
                told.hear(line)
                if told.planned:
                    self.places.applying.touch()
        self.places.applying.unlink(missing_ok=True)
        if process.returncode:
            raise TerraformFailedError(
                "\n\n".join(told.errors) or f"exit code {process.returncode}"
            )
        return told

    @contextmanager
    def _running(self, command: list[str]) -> Iterator[subprocess.Popen[str]]:
        """Run the command in a session of its own; cut it off, provider and all, if we are."""
        process = subprocess.Popen(
            command,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            yield process
            process.wait()
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise

    def _command(self, *words: str) -> list[str]:
        action, *options = words
        return [self.binary, f"-chdir={self.places.terraform}", action, "-input=false", *options]

    def _environment(self) -> dict[str, str]:
        # An absolute path here puts the checkout into the command line of the provider's process.
        data = self.places.terraform / ".terraform"
        return {**self.environment, "TF_DATA_DIR": str(data), "TF_IN_AUTOMATION": "1"}
