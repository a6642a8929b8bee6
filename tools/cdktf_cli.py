"""Run the pinned cdktf CLI for this checkout: `python -m tools.cdktf_cli diff …`.

It runs with the locked Node and Terraform's environment (with a provider mirror, if there is one).
Telemetry, crash reports and checks for newer versions are off. Before Terraform is asked, the
config, its state and the AWS credentials must be right. A plan ends with a summary; with
`--markdown` this alone goes to standard output.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Mapping
from typing import IO

from client.account import Account, NotThisAccount
from client.loopback import reach_directly
from constructs_lib.config.problems import InvalidConfig
from tools import (
    aws_credentials,
    bootstrap,
    concurrency,
    deployed_stack,
    planned,
    state_place,
    terraform_cli,
)
from tools.aws_credentials import NoCredentials
from tools.bootstrap import ROOT, with_node
from tools.concurrency import NoRoom, NotKnown
from tools.deployed_stack import Source, Stack, WrongState
from tools.planned import NoSummary

# These run Terraform. They also ask the registry in order to lock the provider for other platforms.
TERRAFORM_COMMANDS = {"apply", "deploy", "destroy", "diff", "plan"}
DEPLOYING = {"apply", "deploy"}
PLANNING = {"diff", "plan"}
MARKDOWN = "--markdown"
APPROVED = {"--auto-approve", "--autoApprove"}
HELP = {"-h", "--help"}
QUIET = {"CHECKPOINT_DISABLE": "1", "DISABLE_VERSION_CHECK": "1"}
SPINNER = b"\xe2\xa0"  # how each of its characters begins in UTF-8: Braille patterns
INTERRUPTED = 130


class NobodyToAsk(Exception):
    """The CLI would ask for approval where nobody sees it. The message says what to do."""


REFUSALS = (
    terraform_cli.TerraformMissing,
    NoCredentials,
    NobodyToAsk,
    NoRoom,
    NotThisAccount,
    WrongState,
)


def main(arguments: list[str]) -> int:  # noqa: RET503  # execve does not return
    """Become the CLI, or run it in a child if something has to be done with its output."""
    asks_terraform = bool(TERRAFORM_COMMANDS & set(arguments[:1])) and not HELP & set(arguments)
    plans = asks_terraform and arguments[0] in PLANNING
    markdown = plans and MARKDOWN in arguments
    if markdown:
        arguments = [one for one in arguments if one != MARKDOWN]
    reach_directly(os.environ)
    try:
        terraform_cli.require()
        provision = terraform_cli.provision(os.environ)
        settings = checked(arguments, os.environ) if asks_terraform else {}
        # Last, since it takes long the first time.
        with contextlib.redirect_stdout(sys.stderr):
            if bootstrap.main(["--node-packages"]):
                return 1
        environment = with_node(provision.environment) | QUIET | settings
    except InvalidConfig as invalid:
        print(invalid, file=sys.stderr)
        return 1
    except REFUSALS as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    terminal = sys.stdout.isatty() and not markdown
    if not terminal:
        environment["CI"] = "true"  # the CLI then shows a spinner once, not ten times a second
    if plans:
        planned.forget()
    if plans or not terminal:
        code = in_a_child(spinner=terminal, output=sys.stderr if markdown else sys.stdout)
        if code is not None:
            return summarized(code, environment, markdown=markdown) if plans else code
    command = cdktf_command(arguments, mirrored=provision.mirrored, terminal=terminal)
    os.chdir(ROOT)
    os.execve(command[0], command, environment)  # noqa: S606


def summarized(code: int, environment: Mapping[str, str], *, markdown: bool) -> int:
    """Print the summary of the plan that the CLI made before it ended with `code`."""
    try:
        summary = planned.summary_of_the_plan(environment)
    except NoSummary as problem:
        print(f"error: {problem}", file=sys.stderr)
        return code or 1
    except KeyboardInterrupt:
        return INTERRUPTED
    if summary:
        print(summary.markdown() if markdown else f"\n{summary.text()}")
    return code


def checked(arguments: list[str], environ: Mapping[str, str]) -> dict[str, str]:
    """Wait for our turn and check all that the command needs; returns Terraform's settings.

    Raises InvalidConfig, WrongState, NoCredentials, NotThisAccount, NoRoom and NobodyToAsk.
    """
    command = arguments[0]
    deployed_stack.wait_for_turn(ROOT)
    source = Source.chosen(ROOT, environ)
    stack = Stack(ROOT, source, source.load(ROOT))
    data = planned.STACK / (environ.get("TF_DATA_DIR") or stack.data)  # as Terraform finds it
    state_place.require_plain(environ, data)
    stack.require_local()
    state_place.require_same_backend(stack.config, data)
    way = Account.of_config(stack.config.account_settings())
    access = aws_credentials.require(stack.config.region_name, way)
    print(
        f"Account {access.account}, region {stack.config.region_name}, prefix "
        f"{stack.config.project_prefix} ({source.config})",
        file=sys.stderr,
    )
    stack.require_remote(access.aws, access.account)
    if command != "destroy":
        try:
            concurrency.require_room(stack.config, access.aws)
            note = concurrency.note_on_room(stack.config, access.aws)
            if note:
                print(f"Note: {note}", file=sys.stderr)
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
    return {"TF_DATA_DIR": str(data)}


def in_a_child(*, spinner: bool, output: IO[str]) -> int | None:
    """Go on in a child (None), while this process waits until it ends, for its exit code.

    Without `spinner`, this process passes on the output of the child, without those lines. It goes
    on when all of it has arrived.
    """
    sys.stdout.flush()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        if not spinner:
            os.dup2(writing, 1)
            if output is sys.stderr:  # where the CLI writes, Node makes writes fail that would wait
                os.dup2(writing, 2)
        os.close(reading)
        os.close(writing)
        return None
    os.close(writing)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to the child too
    for number in (signal.SIGHUP, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup ignores it
            signal.signal(number, lambda received, _frame: os.kill(child, received))
    with open(reading, "rb") as lines, open(output.fileno(), "wb", closefd=False) as shown:  # noqa: PTH123
        for line in lines:
            if not line.startswith(SPINNER):
                shown.write(line)
                shown.flush()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    signal.signal(signal.SIGINT, before)
    return code if code >= 0 else 128 - code


def cdktf_command(arguments: list[str], *, mirrored: bool, terminal: bool) -> list[str]:
    """The CLI's command line. Terraform's output has colours only on a terminal."""
    extra: list[str] = []
    if arguments and arguments[0] in TERRAFORM_COMMANDS:
        extra += ["--skip-provider-lock"] if mirrored else []
        extra += [] if terminal else ["--no-color"]
    return [str(ROOT / "node_modules" / ".bin" / "cdktf"), *arguments[:1], *extra, *arguments[1:]]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
