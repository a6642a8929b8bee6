"""`make verify-aws`: asks a real account what this project assumes of AWS.

What it makes for that is removed, whatever happens.

Exit codes: 0 all is as assumed, 1 something differs or failed, 2 wrong arguments or credentials.
"""

from __future__ import annotations

import argparse
import os
import secrets
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

import boto3
from botocore.exceptions import BotoCoreError, ClientError, ProfileNotFound

from client import stacks
from client.account import OF_THE_ENVIRONMENT, NotThisAccount
from client.loopback import reach_directly
from tools import aws_credentials
from tools.verify_aws.answers import Outcome, Question, Result, table, write
from tools.verify_aws.aws import Aws, NotInTime
from tools.verify_aws.bench import Bench
from tools.verify_aws.kinds import PREFIX, Kind, leftovers
from tools.verify_aws.questions import QUESTIONS

ANSWERS = Path(__file__).parents[2] / "tests" / "facts" / "answers.json"
_WHAT_IT_MAKES = """\
It makes roles, functions, queues, a rule, a state machine, REST APIs that only this account may
call, dashboards, a bucket, and two serverless endpoints that answer what they are asked.
{time} All names begin with {name},
and all of it is removed at the end, also after Ctrl-C or an error.
"""
_EPILOG = """\
It needs the rights of an administrator, best in an account for trials. A run that was killed leaves
something behind: the next one removes it. So only one run at a time in an account and region.
"""


class NoRegion(Exception):
    """Nothing says which region is asked."""


_CANNOT_BEGIN = (NoRegion, NotThisAccount, aws_credentials.NoCredentials, stacks.NoStack)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    if not options.yes and not sys.stdin.isatty():
        return _refuse("nobody can be asked here whether to begin: add --yes")
    try:
        aws = _reached(options.region, local=options.local)
        old = leftovers(aws)
    except _CANNOT_BEGIN as problem:
        return _refuse(str(problem))
    except (BotoCoreError, ClientError) as problem:
        return _refuse(f"what is in the account cannot be listed: {problem}")
    name = f"{PREFIX}{secrets.token_hex(4)}"
    print(f"The account is {aws.account}, the region {aws.region}.")
    chosen = [one for one in QUESTIONS if not options.only or one.id in options.only]
    print(_WHAT_IT_MAKES.format(name=name, time=_time(aws, chosen, quick=options.quick)))
    for kind, left in old:
        print(f"An earlier run has left the {kind.noun} {left}. It is removed first.")
    if not options.yes and input("Begin? [y/N] ").strip().lower() not in {"y", "yes"}:
        return _refuse("nothing was made")
    bench = Bench(aws, name, _say, options.image)
    results, ended = _ask_all(bench, old, chosen, quick=options.quick)
    print(f"\n{table(results)}\n")
    if options.write:
        write(ANSWERS, results, bench, datetime.now(UTC))
        print(f"The answers are in {ANSWERS}.")
    if not ended:
        print("error: interrupted: the other questions were not asked", file=sys.stderr)
    for left in bench.left:
        print(f"error: not removed: {left}. The next run tries again", file=sys.stderr)
    good = ended and not bench.left and all(one.is_good for one in results)
    return 0 if good else 1


def _reached(region: str | None, *, local: bool) -> Aws:
    """The account and region that are asked. Raises what `_CANNOT_BEGIN` lists."""
    if local:
        stacks.of_local().reach(os.environ)
    reach_directly(os.environ)
    try:
        region = region or os.environ.get("AWS_REGION") or boto3.Session().region_name
    except ProfileNotFound as error:
        raise OF_THE_ENVIRONMENT.without_profile() from error
    if not region:
        raise NoRegion("no region: add --region, or set AWS_REGION")
    access = aws_credentials.require(region)
    return Aws(access.aws, access.account, region)


def _ask_all(
    bench: Bench, old: Sequence[tuple[Kind, str]], chosen: Sequence[Question], *, quick: bool
) -> tuple[list[Result], bool]:
    """The results, and whether nobody interrupted it. All that was made is removed."""
    results: list[Result] = []
    with _interruptible() as no_more:
        try:
            with bench:
                try:
                    for kind, name in old:
                        kind.remove(bench.aws, name)
                    for question in chosen:
                        # those before Ctrl-C are told
                        results.append(_asked(question, bench, quick=quick))  # noqa: PERF401
                finally:
                    no_more()
        except KeyboardInterrupt:
            return results, False
        except (BotoCoreError, ClientError, NotInTime) as error:
            bench.left.append(f"what an earlier run has left: {error}")
    return results, True


def _why_not(question: Question, aws: Aws, *, quick: bool) -> str:
    """Why it is not asked; empty if it is."""
    if aws.embedded and not question.embedded:
        return "the embedded AWS cannot answer"
    return "it takes long" if quick and not question.quick else ""


def _time(aws: Aws, chosen: Sequence[Question], *, quick: bool) -> str:
    """How long it takes and what it costs."""
    asked = [one for one in chosen if not _why_not(one, aws, quick=quick)]
    number = f"It asks {len(asked)} of {len(QUESTIONS)} questions"
    if aws.embedded:
        return f"{number}, which takes about a minute here, and costs nothing."
    if all(one.quick for one in asked):
        return f"{number}, each of which AWS answers in five minutes, for less than a dollar."
    return f"{number}. One takes ten minutes, all together about twenty, for less than a dollar."


def _asked(question: Question, bench: Bench, *, quick: bool) -> Result:
    if reason := _why_not(question, bench.aws, quick=quick):
        return _told(Result(question, Outcome.NOT_ASKED, [reason]), 0)
    _say(f"{question.text}\n  assumed: {question.assumption}")
    started = time.monotonic()
    try:
        answer = question.ask(bench)
    # Whatever happens on an account that nobody has asked yet: the other questions are asked.
    except Exception as error:  # noqa: BLE001
        result = Result(question, Outcome.FAILED, [f"{type(error).__name__}: {error}"])
    else:
        outcome = Outcome.DIFFERS if answer.differences else Outcome.AS_ASSUMED
        result = Result(question, outcome, answer.differences, answer.seen)
    return _told(result, time.monotonic() - started)


def _told(result: Result, seconds: float) -> Result:
    _say(f"  {result.question.id}: {result} ({seconds:.0f} s)")
    return result


@contextmanager
def _interruptible() -> Iterator[Callable[[], None]]:
    """The first Ctrl-C or SIGTERM raises KeyboardInterrupt. Later ones change nothing, and none
    does after the function that this gives was called: what was made is removed."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def later(_number: int, _frame: FrameType | None) -> None:
        _say("what was made is being removed: please wait")

    def no_more() -> None:
        for number in before:
            signal.signal(number, later)

    def first(_number: int, _frame: FrameType | None) -> None:
        no_more()
        raise KeyboardInterrupt

    for number in before:
        signal.signal(number, first)
    try:
        yield no_more
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _say(sentence: str) -> None:
    """Nobody may listen any more. That ends no removal."""
    with suppress(OSError):
        print(sentence, flush=True)


def _refuse(sentence: str) -> int:
    print(f"error: {sentence}", file=sys.stderr)
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.verify_aws",
        description="Asks a real account what this project assumes of AWS.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--region", help="default: that of the environment or the profile")
    parser.add_argument(
        "--quick", action="store_true", help="leave out what takes longer than five minutes"
    )
    parser.add_argument("--local", action="store_true", help="ask the embedded AWS of `make up`")
    parser.add_argument("--yes", action="store_true", help="begin without asking")
    parser.add_argument(
        "--only",
        action="append",
        metavar="ID",
        choices=[one.id for one in QUESTIONS],
        help="ask this question only; may be repeated",
    )
    parser.add_argument(
        "--image",
        default="",
        help="image of the model, where AWS's PyTorch image of the region has another registry",
    )
    parser.add_argument(
        "--write", action="store_true", help="write the answers to tests/facts/answers.json"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
