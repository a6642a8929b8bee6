"""Run the pinned cdktf CLI for this checkout: `python -m tools.cdktf_cli diff …`.

It runs with the locked Node and Terraform's environment (with a provider mirror, if there is one).
Telemetry, crash reports and checks for newer versions are off.
"""

from __future__ import annotations

import os
import sys

from tools import terraform_cli
from tools.bootstrap import ROOT, with_node

# These run Terraform. They also ask the registry in order to lock the provider for other platforms.
TERRAFORM_COMMANDS = {"apply", "deploy", "destroy", "diff", "plan"}
QUIET = {"CHECKPOINT_DISABLE": "1", "DISABLE_VERSION_CHECK": "1"}


def main(arguments: list[str]) -> int:  # noqa: RET503  # execve does not return
    """Replace this process with the CLI. It only returns if Terraform is missing."""
    try:
        terraform_cli.require()
        provision = terraform_cli.provision(os.environ)
    except terraform_cli.TerraformMissing as missing:
        print(f"error: {missing}", file=sys.stderr)
        return 1
    environment = with_node(provision.environment) | QUIET
    command = cdktf_command(arguments, mirrored=provision.mirrored, terminal=sys.stdout.isatty())
    os.chdir(ROOT)
    os.execve(command[0], command, environment)  # noqa: S606


def cdktf_command(arguments: list[str], *, mirrored: bool, terminal: bool) -> list[str]:
    """The CLI's command line. Terraform's output has colours only on a terminal."""
    extra: list[str] = []
    if arguments and arguments[0] in TERRAFORM_COMMANDS:
        extra += ["--skip-provider-lock"] if mirrored else []
        extra += [] if terminal else ["--no-color"]
    return [str(ROOT / "node_modules" / ".bin" / "cdktf"), *arguments[:1], *extra, *arguments[1:]]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
