"""Runs Terraform on a working copy of the synthesized stack, only against the embedded AWS."""

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
    """Terraform ended with an error. The message is its output."""


@dataclass(frozen=True)
class Terraform:
    """Terraform, its environment and its working folder."""

    binary: str
    environment: Mapping[str, str]
    places: Places

    def take(self, stack: Path) -> None:
        """Replace the working copy with a newly synthesized stack, but keep Terraform's state."""
        folder = self.places.terraform
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.iterdir():
            if old.name not in KEPT:
                shutil.rmtree(old) if old.is_dir() else old.unlink()
        shutil.copytree(stack, folder, dirs_exist_ok=True)
        # The stack's own backend, local or S3, belongs to a real account.
        override = folder / "backend_override.tf.json"
        override.write_text(json.dumps(BACKEND_HERE), encoding="utf-8")

    def init(self) -> None:
        """Run `terraform init`, which fetches the provider. Raises TerraformFailedError."""
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
        """Run `terraform apply` on the working copy. Raises TerraformFailedError.

        The file `applying` exists from the plan until Terraform ends. If Terraform is stopped in
        between, even with SIGTERM, its state lacks the resources that it was creating.
        """
        output = Apply(step.progress)
        command = self._command("apply", "-json", "-auto-approve", "-parallelism=30")
        with (
            self.places.log("terraform-apply").open("w", buffering=1) as log,
            self._running(command) as process,
        ):
            assert process.stdout is not None  # it is a pipe
            for line in process.stdout:
                log.write(line)
                output.hear(line)
                if output.planned:
                    self.places.applying.touch()
        self.places.applying.unlink(missing_ok=True)
        if process.returncode:
            raise TerraformFailedError(
                "\n\n".join(output.errors) or f"exit code {process.returncode}"
            )
        return output

    @contextmanager
    def _running(self, command: list[str]) -> Iterator[subprocess.Popen[str]]:
        """Run the command in its own session. If we are interrupted, kill it and its provider."""
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
        # An absolute path, so that the command line of the provider's process names the checkout.
        data = self.places.terraform / ".terraform"
        return {**self.environment, "TF_DATA_DIR": str(data), "TF_IN_AUTOMATION": "1"}
