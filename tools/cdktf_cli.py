"""Run the pinned cdktf CLI for this checkout: `python -m tools.cdktf_cli diff …`.

It runs with the locked Node and Terraform's environment (with a provider mirror, if there is one).
Telemetry, crash reports and checks for newer versions are off. Before Terraform is asked, the
config, its state and the AWS credentials must be right.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping

from constructs_lib.config.problems import InvalidConfig
from tools import aws_credentials, concurrency, deployed_stack, terraform_cli
from tools.aws_credentials import NoCredentials
from tools.bootstrap import ROOT, with_node
from tools.concurrency import NoRoom, NotKnown
from tools.deployed_stack import Source, Stack, WrongState

# These run Terraform. They also ask the registry in order to lock the provider for other platforms.
TERRAFORM_COMMANDS = {"apply", "deploy", "destroy", "diff", "plan"}
DEPLOYING = {"apply", "deploy"}
APPROVED = {"--auto-approve", "--autoApprove"}
HELP = {"-h", "--help"}
QUIET = {"CHECKPOINT_DISABLE": "1", "DISABLE_VERSION_CHECK": "1"}
SPINNER = b"\xe2\xa0"  # how each of its characters begins in UTF-8: Braille patterns
INTERRUPTED = 130


class NobodyToAsk(Exception):
    """The CLI would ask for approval where nobody sees it. The message says what to do."""


REFUSALS = (terraform_cli.TerraformMissing, NoCredentials, NobodyToAsk, NoRoom, WrongState)


def main(arguments: list[str]) -> int:  # noqa: RET503  # execve does not return
    """Become the CLI. It only returns if the CLI must not be started."""
    try:
        terraform_cli.require()
        provision = terraform_cli.provision(os.environ)
        environment = with_node(provision.environment) | QUIET
        if TERRAFORM_COMMANDS & set(arguments[:1]) and not HELP & set(arguments):
            environment |= checked(arguments, os.environ)
    except InvalidConfig as invalid:
        print(invalid, file=sys.stderr)
        return 1
    except REFUSALS as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    terminal = sys.stdout.isatty()
    if not terminal:
        environment["CI"] = "true"  # the CLI then shows a spinner once, not ten times a second
        without_spinner()
    command = cdktf_command(arguments, mirrored=provision.mirrored, terminal=terminal)
    os.chdir(ROOT)
    os.execve(command[0], command, environment)  # noqa: S606


def checked(arguments: list[str], environ: Mapping[str, str]) -> dict[str, str]:
    """Wait for our turn and check all that the command needs; returns Terraform's settings.

    Raises InvalidConfig, WrongState, NoCredentials, NoRoom and NobodyToAsk.
    """
    command = arguments[0]
    deployed_stack.wait_for_turn(ROOT)
    source = Source.chosen(ROOT, environ)
    stack = Stack(ROOT, source, source.load(ROOT))
    stack.require_local()
    aws = aws_credentials.require(stack.config.region_name)
    stack.require_remote(aws)
    if command != "destroy":
        try:
            concurrency.require_room(stack.config, aws)
        except NotKnown as unknown:
            print(f"Note: {unknown}", file=sys.stderr)
    asks = command in {"destroy", *DEPLOYING} and not APPROVED & set(arguments)
    if asks and not sys.stdout.isatty():
        raise NobodyToAsk(
            f"{command} asks for approval, which is not seen where the output is no terminal: look "
            "at `make plan`, then add ARGS=--auto-approve"
        )
    if command in DEPLOYING:
        stack.record()
    return {"TF_DATA_DIR": environ.get("TF_DATA_DIR") or str(stack.data)}


def without_spinner() -> None:
    """Go on in a child, whose output this process passes on without the lines of the spinner.

    This process ends after its child, with its exit code: then all output has arrived.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(writing, 1)
        os.close(reading)
        os.close(writing)
        return
    os.close(writing)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to the child too
    for number in (signal.SIGHUP, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup ignores it
            signal.signal(number, lambda received, _frame: os.kill(child, received))
    with open(reading, "rb") as lines, open(1, "wb") as output:  # noqa: PTH123
        for line in lines:
            if not line.startswith(SPINNER):
                output.write(line)
                output.flush()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os._exit(code if code >= 0 else 128 - code)


def cdktf_command(arguments: list[str], *, mirrored: bool, terminal: bool) -> list[str]:
    """The CLI's command line. Terraform's output has colours only on a terminal."""
    extra: list[str] = []
    if arguments and arguments[0] in TERRAFORM_COMMANDS:
        extra += ["--skip-provider-lock"] if mirrored else []
        extra += [] if terminal else ["--no-color"]
    return [str(ROOT / "node_modules" / ".bin" / "cdktf"), *arguments[:1], *extra, *arguments[1:]]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
