"""What `make verify-aws` tells and keeps of answers, and its patience with new roles."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from client import stacks
from tools import aws_credentials
from tools.aws_credentials import NoCredentials
from tools.verify_aws import __main__ as command
from tools.verify_aws import kinds
from tools.verify_aws.answers import Answer, Outcome, Question, Result, compared, table, write
from tools.verify_aws.aws import EMBEDDED_ACCOUNT, Aws, NotInTime
from tools.verify_aws.bench import Bench

REAL = "111122223333"
NOW = datetime(2026, 12, 1, 9, 0, tzinfo=UTC)


def aws(account: str = EMBEDDED_ACCOUNT) -> Aws:
    return Aws(boto3.Session(region_name="eu-west-1"), account, "eu-west-1")


def bench(account: str = EMBEDDED_ACCOUNT) -> Bench:
    return Bench(aws(account), "endpoint-meter-verify-1", lambda _: None)


def question(name: str, *, embedded: bool = True, quick: bool = True) -> Question:
    return Question(
        name, f"{name}?", "yes", "main.py", lambda _: Answer({}), embedded=embedded, quick=quick
    )


def refused(message: str, code: str = "ValidationException") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "Any")


class Calls:
    """Each call takes the next outcome; an exception is raised."""

    def __init__(self, *outcomes: object) -> None:
        self.outcomes = list(outcomes)

    def __call__(self, *_: object) -> Any:
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def test_answer_may_show_more_than_is_expected_but_nothing_else() -> None:
    answer = compared({"one": 1, "two": 2}, {"one": 1, "two": 3, "more": "words"})

    assert list(answer.differences) == ["two: 3, and 2 is assumed"]


def test_table_shows_each_question_with_its_details_below() -> None:
    results = [
        Result(question("short"), Outcome.AS_ASSUMED),
        Result(question("a-long-name"), Outcome.DIFFERS, ["1, and 2 is assumed"]),
    ]

    assert table(results).splitlines() == [
        "question     answer      what rests on it",
        "short        as assumed  main.py",
        "a-long-name  differs     main.py",
        "    1, and 2 is assumed",
    ]


def test_answers_are_kept_without_the_account_and_beside_older_ones(tmp_path: Path) -> None:
    file = tmp_path / "facts" / "answers.json"
    ours, arn = question("ours"), f"arn:aws:sqs:eu-west-1:{REAL}:endpoint-meter-verify-1-loop"
    write(file, [Result(question("older"), Outcome.AS_ASSUMED, (), {})], bench(REAL), NOW)
    write(
        file,
        [
            Result(ours, Outcome.DIFFERS, [f"not {REAL}"], {"arn": arn}),
            Result(question("late"), Outcome.NOT_ASKED, ["it takes long"]),
        ],
        bench(REAL),
        NOW,
    )

    kept = json.loads(file.read_text())

    assert set(kept) == {"older", "ours"}
    assert kept["ours"] == {
        "date": "2026-12-01",
        "source": "an account, eu-west-1",
        "outcome": "differs: not {account}",
        "seen": {"arn": "arn:aws:sqs:eu-west-1:{account}:{name}-loop"},
    }


def test_answers_of_the_embedded_aws_say_so(tmp_path: Path) -> None:
    file = tmp_path / "answers.json"

    write(file, [Result(question("ours"), Outcome.AS_ASSUMED, (), {})], bench(), NOW)

    assert json.loads(file.read_text())["ours"]["source"] == "the embedded AWS"


def test_service_that_does_not_know_a_new_role_yet_is_asked_again() -> None:
    create = Calls(refused("The role cannot be assumed by Lambda."), "made")

    assert bench().settled(create) == "made"


def test_other_refusals_are_not_asked_again() -> None:
    create = Calls(refused("The name is too long."), "made")

    with pytest.raises(ClientError, match="too long"):
        bench().settled(create)


def test_what_may_have_been_made_is_removed_in_reverse_order_though_a_removal_fails() -> None:
    removed: list[str] = []
    work = bench()

    def kind(noun: str, failure: Exception | None = None) -> kinds.Kind:
        def delete(_: Aws, name: str) -> None:
            removed.append(f"{noun} {name}")
            if failure:
                raise failure

        return kinds.Kind(noun, lambda _: iter(()), delete)

    def interrupted() -> None:
        with work:
            work.make(kind("role"), "a", Calls("made"))
            work.make(kind("queue", refused("Not you.")), "b", Calls("made"))
            work.make(kind("rule"), "c", Calls(KeyError("lost on the way")))

    with pytest.raises(KeyError):
        interrupted()

    name = "endpoint-meter-verify-1"
    assert removed == [f"rule {name}-c", f"queue {name}-b", f"role {name}-a"]
    assert len(work.left) == 1
    assert work.left[0].startswith(f"queue {name}-b: ")


@pytest.mark.parametrize(
    "outcomes",
    [
        [None],
        [refused("Nothing of that name", "NoSuchEntity")],
        [refused('Could not find endpoint "arn".')],
        [refused('Could not find endpoint configuration "arn".')],
        [refused('Could not find model "arn".')],
        [refused('Cannot update in-progress endpoint "arn".'), None],
        [refused("Slow down.", "TooManyRequestsException"), None],
    ],
)
def test_removal_waits_while_aws_is_busy_and_does_not_mind_what_is_gone(
    outcomes: Sequence[object],
) -> None:
    delete = Calls(*outcomes)

    kinds.Kind("thing", lambda _: iter(()), delete).remove(aws(), "name")

    assert delete.outcomes == []


def test_wait_ends_with_a_sentence() -> None:
    times = iter([0.0, 5.0, 20.0])

    with pytest.raises(NotInTime, match=r"^the event did not happen within 10 s$"):
        aws().until("the event", lambda: None, 10, clock=lambda: next(times))


def test_without_a_region_nothing_is_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")

    assert command.main(["--yes"]) == 2
    assert capsys.readouterr().err == "error: no region: add --region, or set AWS_REGION\n"


def test_the_region_of_the_environment_is_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []
    monkeypatch.setenv("AWS_REGION", "eu-west-3")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.delenv("AWS_PROFILE", raising=False)

    def no_account(region: str) -> None:
        asked.append(region)
        raise NoCredentials("there are none")

    monkeypatch.setattr(aws_credentials, "require", no_account)

    assert command.main(["--yes"]) == 2
    assert asked == ["eu-west-3"]
    assert capsys.readouterr().err == "error: there are none\n"


@pytest.mark.parametrize("region", [[], ["--region", "eu-west-3"]])
def test_a_profile_that_is_not_there_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], region: list[str]
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_PROFILE", "nowhere")

    assert command.main(["--yes", *region]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(
        "error: the profile 'nowhere', which AWS_PROFILE names, is not on this machine, which has: "
        "none. Make it (`aws configure --profile nowhere`"
    )


def test_without_a_stack_up_the_embedded_aws_is_not_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(stacks, "_LOCAL", tmp_path / "stack.json")

    assert command.main(["--yes", "--local"]) == 2
    assert capsys.readouterr().err == "error: no stack is up here: run `make up`\n"


@pytest.mark.parametrize(
    ("account", "quick", "said"),
    [
        (EMBEDDED_ACCOUNT, True, "It asks 1 of 15 questions, which takes about a minute here, and"),
        (REAL, True, "It asks 2 of 15 questions, each of which AWS answers in five minutes, for"),
        (REAL, False, "It asks 3 of 15 questions. One takes ten minutes, all together about"),
    ],
)
def test_it_says_how_much_it_asks_and_how_long_that_takes(
    account: str, quick: bool, said: str
) -> None:
    chosen = [
        question("a"),
        question("b", embedded=False),
        question("c", embedded=False, quick=False),
    ]
    assert command._time(aws(account), chosen, quick=quick).startswith(said)


@pytest.mark.parametrize(
    ("account", "quick", "one", "outcome"),
    [
        (REAL, True, question("any"), Outcome.AS_ASSUMED),
        (REAL, True, question("any", quick=False), Outcome.NOT_ASKED),
        (REAL, False, question("any", quick=False), Outcome.AS_ASSUMED),
        (REAL, True, question("any", embedded=False), Outcome.AS_ASSUMED),
        (EMBEDDED_ACCOUNT, False, question("any", embedded=False), Outcome.NOT_ASKED),
    ],
)
def test_question_is_asked_where_it_can_be_answered_in_time(
    account: str, quick: bool, one: Question, outcome: Outcome
) -> None:
    assert command._asked(one, bench(account), quick=quick).outcome is outcome


def test_answer_of_an_unforeseen_shape_is_a_failure_of_its_question() -> None:
    ask: Callable[[Bench], Answer] = Calls(KeyError("detail"))
    result = command._asked(Question("any", "?", "yes", "main.py", ask), bench(), quick=True)

    assert str(result) == "failed: KeyError: 'detail'"
    assert not result.is_good
