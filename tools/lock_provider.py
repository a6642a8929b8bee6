"""Lock the AWS provider for Linux and macOS, amd64 and arm64: `make lock-provider`.

Terraform asks its registry for the hashes. Where that cannot be reached, a filesystem mirror does
too, if it has the provider for all four. The result is configs/provider.lock.hcl, which every synth
writes beside the stack. If it cannot be complete, nothing is changed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from constructs_lib.provider_lock import (
    NAME,
    PLATFORMS,
    PROVIDER_SOURCE,
    PROVIDER_VERSIONS,
    shortcoming,
)
from tools import terraform_cli
from tools.terraform_cli import TerraformMissing

ADVICE = "run it where the registry can be reached"
TARGET = terraform_cli.ROOT / "configs" / "provider.lock.hcl"


class NotLocked(Exception):
    """Not every hash is to be had. The message says why and what is missing."""


def main(
    arguments: Sequence[str], environ: Mapping[str, str] = os.environ, target: Path = TARGET
) -> int:
    parser = argparse.ArgumentParser(
        prog="make lock-provider",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.parse_args(arguments)
    try:
        text, source = locked(environ)
    except (NotLocked, TerraformMissing) as problem:
        print(f"error: {problem}. Nothing was changed: {ADVICE}", file=sys.stderr)
        return 1
    terraform_cli.write(target, text)
    target.chmod(0o644)
    print(f"{target.name}: {PROVIDER_SOURCE} from {source}, for {', '.join(PLATFORMS)}")
    return 0


def locked(environ: Mapping[str, str]) -> tuple[str, str]:
    """A complete lock file, and where its hashes come from. Raises NotLocked, TerraformMissing."""
    binary = terraform_cli.require(environ)
    mirror = terraform_cli.named_mirror(environ) or terraform_cli.find_mirror(environ)
    settings = terraform_cli.provision(environ).environment
    with tempfile.TemporaryDirectory(prefix="lock-provider-") as name:
        folder = Path(name)
        required = {"aws": {"source": PROVIDER_SOURCE, "version": PROVIDER_VERSIONS}}
        document = {"terraform": {"required_providers": required}}
        (folder / "main.tf.json").write_text(json.dumps(document))
        command = [binary, "providers", "lock", *(f"-platform={each}" for each in PLATFORMS)]
        source, failure = "the registry", failed(command, folder, settings)
        if failure:
            unreachable = f"the registry did not give the provider ({failure})"
            source = f"the mirror {complete(mirror, unreachable)}"
            failure = failed([*command, f"-fs-mirror={mirror}"], folder, settings)
            if failure:
                raise NotLocked(f"{unreachable}, nor did {source} ({failure})")
        text = (folder / NAME).read_text(encoding="utf-8")
    unusable = shortcoming(text)
    if unusable:
        raise NotLocked(f"the lock file from {source} is of no use: {unusable}")
    return text, source


def failed(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> str | None:
    """Run Terraform; returns the reason in one line if it fails."""
    done = subprocess.run(
        [*command, "-no-color"],
        cwd=folder,
        env={**environment, "TF_IN_AUTOMATION": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if not done.returncode:
        return None
    words = " ".join(done.stderr.replace("│", " ").replace("╷", " ").replace("╵", " ").split())
    return words.rpartition(" could not be installed: ")[2].strip("- ").rstrip(".")


def complete(mirror: Path | None, reason: str) -> Path:
    """The mirror, if it has the provider for every platform. Raises NotLocked."""
    if mirror is None:
        raise NotLocked(f"{reason}, and there is no mirror")
    there = [each for each in PLATFORMS if terraform_cli.serves(mirror, each)]
    missing = [each for each in PLATFORMS if each not in there]
    if missing:
        raise NotLocked(
            f"{reason}, and the mirror {mirror} has it for {', '.join(there)}, "
            f"but not for {', '.join(missing)}"
        )
    return mirror


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
