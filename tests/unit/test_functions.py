"""What the functions of the meter do around the core: actions, answers, counts for the alarms."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from lambdas.aws import clients
from lambdas.core.decision import Decision
from lambdas.core.deploys import NotSettled
from lambdas.core.errors import Denied
from lambdas.core.hints import MAX_HOPS, Cause, Hint
from lambdas.core.invocation import (
    MAX_BODY_BYTES,
    Invocation,
    ModelAnswer,
)
from lambdas.core.name_patterns import NamePatterns
from lambdas.core.reconcile import THROTTLED, Outcome
from lambdas.core.settings import (
    WARM_UP,
    AdopterSettings,
    AuthorizerSettings,
    InvokerSettings,
    SweepSettings,
)
from lambdas.core.state import State, Status, Step
from lambdas.core.sweep import Policy, Swept, Unmanaged
from lambdas.handlers import (
    adopter,
    authorizer,
    integration,
    invoker,
    metrics,
    reconciler,
    sweep,
    wiring,
)
from lambdas.handlers.refusals import AnswerTooLarge, BodyTooLarge, InvalidRequest
from tests.fakes import a_spec
from tests.world import World


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """The metrics that the functions count."""
    found: dict[str, int] = {}

    def count(name: str, value: int = 1) -> None:
        found[name] = found.get(name, 0) + value

    monkeypatch.setattr(sweep, "count", count)
    monkeypatch.setattr(reconciler, "count", count)
    return found


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """That of a function in Lambda."""
    for name, value in {
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "POWERTOOLS_SERVICE_NAME": "demo",
    }.items():
        monkeypatch.setenv(name, value)
    caches = (sweep._settings, sweep._sweep, sweep._deploys, invoker._results)
    for cached in caches:
        cached.cache_clear()
    yield monkeypatch
    for cached in caches:
        cached.cache_clear()


def test_metric_is_one_number_of_the_stack(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    metrics.count("Late", 3)

    written = json.loads(capsys.readouterr().out)
    (described,) = written["_aws"]["CloudWatchMetrics"]
    assert described["Namespace"] == "EndpointMeter"
    assert described["Dimensions"] == [["service"]]
    assert described["Metrics"] == [{"Name": "Late", "Unit": "Count"}]
    assert (written["Late"], written["service"]) == ([3.0], "demo")


# --- the sweep --------------------------------------------------------------------------------


@pytest.fixture
def swept(world: World, environment: pytest.MonkeyPatch, counted: dict[str, int]) -> dict[str, int]:
    """The sweep's function works on the world. Returns what it counts."""
    environment.setattr(sweep, "_sweep", lambda: world.sweeper)
    environment.setattr(sweep, "_deploys", lambda: world.deploys)
    environment.setattr(sweep, "_settings", lambda: SimpleNamespace(drain_wait_seconds=60))
    return counted


def call(action: str | None = None, manifest: object = None, tf: str | None = None) -> Any:
    event: dict[str, Any] = {}
    if action:
        event["action"] = action
    if manifest is not None:
        event["manifest"] = manifest
    if tf:
        event["tf"] = {"action": tf}
    return sweep.handler(event, None)


def test_sweep_answers_and_counts_what_it_found(
    world: World, swept: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Swept(6, ["a"] * 5, ["b"] * 4, ["c"] * 3, ["d"] * 2, restored=True)
    monkeypatch.setattr(sweep, "_sweep", lambda: SimpleNamespace(sweep=lambda: found))

    answer = {"endpoints": 6, "hinted": 5, "orphans": 4, "unmanaged": 3, "late": 2}
    assert call() == call("sweep") == answer
    assert swept == {
        "Endpoints": 12,
        "Orphans": 8,
        "Unmanaged": 6,
        "Late": 4,
        "RestoredTable": 2,
    }


def test_restored_table_is_counted_until_it_is_accepted(
    world: World, swept: dict[str, int]
) -> None:
    world.store.id = "table-2"

    call("sweep")
    assert swept["RestoredTable"] == 1
    assert call("accept_restored_table") == {"accepted": True}
    assert call("accept_restored_table") == {"accepted": False}


def test_terraform_is_answered_with_plain_json(world: World, swept: dict[str, int]) -> None:
    manifest = {"falcon": "falcon-1"}

    assert call("sync", manifest) == {"looked_at": 1}
    assert call("sync", manifest, "create") == {"looked_at": 1}
    assert call("wait", manifest) == {"settled": True, "unsettled": []}
    assert call("verdict", manifest) == {"settled": True, "unsettled": []}
    assert call("settle", manifest) == {"settled": True}
    with pytest.raises(ValueError, match="unknown action 'dance'"):
        call("dance")


def test_deploy_fails_while_an_endpoint_serves_something_else(
    world: World, swept: dict[str, int]
) -> None:
    world.renew("falcon", 60)
    world.advance(minutes=1)

    with pytest.raises(NotSettled):
        call("settle", {"falcon": "falcon-2"})
    assert call("verdict", {"falcon": "falcon-2"})["settled"] is False
    assert call("verdict")["settled"] is False, "withdrawn"


def test_destroy_drains_once_and_waits_for_nothing_else(
    world: World, swept: dict[str, int]
) -> None:
    world.renew("falcon", 60)
    world.advance(minutes=1)

    assert call("wait", {"falcon": "other"}, "delete") == {}
    assert world.status("falcon") is Status.IN_SERVICE
    assert call("sync", {"falcon": "falcon-1"}, "delete") == {"drained": True}
    assert world.status("falcon") is Status.ABSENT
    assert world.store.control().draining(world.now)


def test_sweep_is_made_from_its_environment(environment: pytest.MonkeyPatch) -> None:
    settings = SweepSettings(
        state_table="state",
        history_table="history",
        history_days=90,
        starts_queue_url="starts",
        work_queue_url="work",
        alarm_topic_arn="topic",
        stack_tag="demo",
        drain_wait_seconds=700,
        unmanaged_endpoints="meter",
        unmanaged_lease_minutes=60,
        late_minutes=30,
        adoptable='["team-*"]',
        max_lease_minutes=600,
    )
    for name, value in settings.to_environment().items():
        environment.setenv(name, value)

    made = sweep._sweep()

    assert sweep._sweep() is made
    assert made.policy == Policy(
        Unmanaged.METER,
        timedelta(minutes=60),
        timedelta(minutes=30),
        NamePatterns(("team-*",)),
        600,
    )
    assert sweep._settings() == settings
    assert sweep._deploys() is sweep._deploys()


# --- the reconciler ---------------------------------------------------------------------------


def decided(step: Step, attempts: int = 0) -> Outcome:
    return Outcome("done", Decision(step, "why", State(attempts=attempts)))


@pytest.mark.parametrize(
    ("hint", "outcome", "counts"),
    [
        (Hint("falcon", Cause.TICK), Outcome("idle"), {}),
        (Hint("falcon", Cause.TICK), decided(Step.WAIT), {}),
        (Hint("falcon", Cause.TICK), decided(Step.WAIT, 1), {"Failures": 1}),
        (Hint("falcon", Cause.TICK), decided(Step.GIVE_UP), {"GaveUp": 1}),
        (Hint("falcon", Cause.TICK), decided(Step.GIVE_UP, 1), {"GaveUp": 1}),
        (Hint("falcon", Cause.TICK), Outcome(THROTTLED), {"Throttled": 1}),
        (Hint("falcon", Cause.TICK, hops=MAX_HOPS), Outcome("idle"), {"LongChains": 1}),
        (Hint("falcon", Cause.TICK, hops=MAX_HOPS - 1), Outcome("idle"), {}),
        (Hint(None, Cause.CANARY), Outcome("idle"), {"Heartbeat": 1}),
    ],
)
def test_outcome_of_a_hint_is_counted_for_the_alarms(
    counted: dict[str, int], hint: Hint, outcome: Outcome, counts: dict[str, int]
) -> None:
    reconciler._report(hint, outcome)

    assert counted == counts


@pytest.mark.parametrize(("left", "sent_again"), [(26_999, True), (27_000, False)])
def test_hint_with_too_little_time_left_is_sent_again(
    world: World,
    counted: dict[str, int],
    monkeypatch: pytest.MonkeyPatch,
    left: int,
    sent_again: bool,
) -> None:
    owners: list[tuple[str, int]] = []

    def made(owner: str, hops: int) -> Any:
        owners.append((owner, hops))
        return world.reconciler()

    monkeypatch.setattr(reconciler, "_reconciler", made)
    monkeypatch.setattr(reconciler, "_hints", lambda: world.hints)
    hint = Hint("falcon", Cause.EVENT, hops=4)
    context: Any = SimpleNamespace(aws_request_id="r-1", get_remaining_time_in_millis=lambda: left)

    answer = reconciler.handler(
        {"Records": [{"messageId": "m-1", "body": hint.to_body()}]}, context
    )

    assert answer == {"batchItemFailures": []}
    again = Hint("falcon", Cause.EVENT, hops=5)
    assert (again in world.hints.sent) is sent_again
    assert owners == ([] if sent_again else [("r-1/m-1", 4)])


def test_failing_hint_alone_is_delivered_again_and_no_hint_never(
    counted: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_owner: str, _hops: int) -> Any:
        raise RuntimeError("a bug")

    monkeypatch.setattr(reconciler, "_reconciler", broken)
    context: Any = SimpleNamespace(
        aws_request_id="r-1", get_remaining_time_in_millis=lambda: 60_000
    )
    records = [
        {"messageId": "m-1", "body": "no hint"},
        {"messageId": "m-2", "body": Hint("falcon", Cause.EVENT).to_body()},
    ]

    answer = reconciler.handler({"Records": records}, context)

    assert answer == {"batchItemFailures": [{"itemIdentifier": "m-2"}]}


# --- the adopter ------------------------------------------------------------------------------


@pytest.fixture
def adopting() -> Iterator[None]:
    """The adopter makes its adapter anew, and keeps none of the test."""
    adopter._endpoints.cache_clear()
    yield
    adopter._endpoints.cache_clear()


@pytest.mark.usefixtures("adopting")
def test_adopter_tags_unless_it_is_told_to_release(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[tuple[str, str]] = []
    endpoints = SimpleNamespace(
        adopt=lambda arn: done.append(("adopt", arn)),
        release=lambda arn: done.append(("release", arn)),
    )
    monkeypatch.setattr(wiring, "endpoints", {"demo-tag": endpoints}.__getitem__)
    for name, value in AdopterSettings("demo-tag").to_environment().items():
        monkeypatch.setenv(name, value)

    answer = adopter.handler({"arn": "arn:1", "release": False}, None)
    adopter.handler({"arn": "arn:1", "release": True}, None)

    assert answer == {"done": "arn:1"}
    assert done == [("adopt", "arn:1"), ("release", "arn:1")]


# --- calls of models --------------------------------------------------------------------------


class FakeRuntime:
    """A fake of SageMaker's runtime: `answer` is that of the model."""

    answer = ModelAnswer(b"an answer", "text/plain", "trace", "B")

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds
        self.asked: list[tuple[str, Invocation]] = []

    def invoke(self, name: str, invocation: Invocation) -> ModelAnswer:
        self.asked.append((name, invocation))
        return self.answer


def test_asynchronous_call_sends_compact_utf8_and_keeps_only_what_is_too_long(
    environment: pytest.MonkeyPatch,
) -> None:
    made: list[FakeRuntime] = []
    kept: list[tuple[str, bytes, str]] = []

    def runtime(seconds: int) -> FakeRuntime:
        made.append(FakeRuntime(seconds))
        return made[-1]

    environment.setattr(clients, "sagemaker_runtime", lambda seconds: seconds)
    environment.setattr(invoker, "SageMakerRuntime", runtime)
    results = SimpleNamespace(keep=lambda *what: kept.append(what))
    environment.setattr(invoker, "_results", lambda: results)
    event = {"endpointname": "falcon", "execution": "ann-1", "body": {"x": "größe", "y": 1}}

    assert invoker.handler(event, None) == {
        "Body": "an answer",
        "ContentType": "text/plain",
        "InvokedProductionVariant": "B",
    }
    assert made[0].asked == [
        ("falcon", Invocation('{"x":"größe","y":1}'.encode(), "application/json"))
    ]
    assert made[0].seconds == 65
    assert kept == []

    long = ModelAnswer(b"x" * 200_000, "text/plain", None, "B")
    environment.setattr(FakeRuntime, "answer", long)
    assert invoker.handler(event, None) == {
        "ContentType": "text/plain",
        "InvokedProductionVariant": "B",
        "ResultKept": True,
    }
    assert kept == [("ann-1", long.body, "text/plain")]


def test_results_are_kept_in_the_bucket_of_the_environment(
    environment: pytest.MonkeyPatch,
) -> None:
    for name, value in InvokerSettings("the-bucket").to_environment().items():
        environment.setenv(name, value)

    assert "the-bucket" in invoker._results().link("ann-1")
    assert invoker._results() is invoker._results()


def request(body: bytes) -> dict[str, Any]:
    return {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}


def test_request_of_exactly_the_limit_is_taken() -> None:
    assert len(integration.invocation_of(request(b"x" * MAX_BODY_BYTES)).body) == MAX_BODY_BYTES
    with pytest.raises(BodyTooLarge):
        integration.invocation_of(request(b"x" * (MAX_BODY_BYTES + 1)))


def test_answer_of_exactly_the_limit_is_carried() -> None:
    envelope = len(json.dumps(integration.reply_of(ModelAnswer(b"", "text/plain"))))
    longest = ModelAnswer(b"x" * (MAX_BODY_BYTES - envelope), "text/plain")
    assert integration.reply_of(longest)["statusCode"] == 200
    with pytest.raises(AnswerTooLarge):
        integration.reply_of(replace(longest, body=longest.body + b"x"))


def test_answer_that_json_makes_too_large_is_refused() -> None:
    """Lambda would drop it, and API Gateway answer without a reason."""
    with pytest.raises(AnswerTooLarge):
        integration.reply_of(ModelAnswer(b"\0" * 1_100_000, "application/octet-stream"))
    letters = "é".encode() * 3_000_000
    assert integration.reply_of(ModelAnswer(letters, "text/plain"))["statusCode"] == 200


def test_headers_for_the_model_are_passed_on_and_measured() -> None:
    longest = "x" * 1024
    headers = {
        "Accept": ["text/plain", "text/html"],
        "content-type": ["application/json"],
        "X-Amzn-SageMaker-Custom-Attributes": [longest],
        "x-amzn-sagemaker-target-variant": ["B"],
        "X-Amzn-SageMaker-Session-Id": ["s-1"],
    }
    event = {"body": "größe \ud800", "multiValueHeaders": headers}

    assert integration.invocation_of(event) == Invocation(
        "größe \ud800".encode("utf-8", "surrogatepass"),
        "application/json",
        "text/plain, text/html",
        longest,
        "B",
        session_id="s-1",
    )
    assert integration.invocation_of({}) == Invocation(b"")
    for wrong in (longest + "x", "größe"):
        headers["X-Amzn-SageMaker-Custom-Attributes"] = [wrong]
        with pytest.raises(InvalidRequest):
            integration.invocation_of(event)


def test_answer_of_a_model_keeps_its_headers_and_its_bytes() -> None:
    text = integration.reply_of(FakeRuntime.answer)
    binary = integration.reply_of(ModelAnswer(b"\xff\x00", "image/png"))

    assert text == {
        "statusCode": 200,
        "headers": {
            "Content-Type": "text/plain",
            "X-Amzn-SageMaker-Custom-Attributes": "trace",
            "x-Amzn-Invoked-Production-Variant": "B",
        },
        "body": "an answer",
    }
    assert binary == {
        "statusCode": 200,
        "headers": {"Content-Type": "image/png"},
        "body": base64.b64encode(b"\xff\x00").decode(),
        "isBase64Encoded": True,
    }


def test_declared_endpoint_that_was_never_seen_is_swept_without_harm(
    world: World, swept: dict[str, int]
) -> None:
    world.store.deploy(a_spec("flan"))

    assert call("sweep")["endpoints"] == 2


def test_warm_function_of_a_model_has_its_client(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    monkeypatch.setattr(integration, "_runtime", lambda: made.append("runtime"))

    assert integration.integration()(WARM_UP, None) == {}
    assert made == ["runtime"]


def test_model_is_called_with_post_only() -> None:
    event = {"httpMethod": "GET", "requestContext": {"requestId": "r-1"}}

    reply = integration.integration()(event, None)

    assert (reply["statusCode"], reply["headers"]["Allow"]) == (405, "POST")
    document = json.loads(reply["body"])
    assert document["error"] == "A model does not take GET. Call it with POST."
    assert document["requestId"] == "r-1"


# --- the authorizer ---------------------------------------------------------------------------


@pytest.mark.parametrize(("notes_use", "noted"), [(0, False), (1, True)])
def test_use_of_a_token_is_noted_only_if_the_function_may_write(
    environment: pytest.MonkeyPatch, notes_use: int, noted: bool
) -> None:
    settings = AuthorizerSettings("auth", notes_use, "{}", "")
    for name, value in settings.to_environment().items():
        environment.setenv(name, value)
    caches = (authorizer._settings, authorizer._tokens, authorizer._users)
    for cached in caches:
        cached.cache_clear()
    try:
        assert (authorizer._tokens()._hasty is not None) is noted
        assert authorizer._users() is None
    finally:
        for cached in caches:
            cached.cache_clear()


def test_jwt_is_an_unknown_token_where_there_is_no_user_pool(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    def holder(sent: str, _now: object) -> None:
        asked.append(sent)
        raise Denied("unknown token")

    monkeypatch.setattr(authorizer, "_users", lambda: None)
    monkeypatch.setattr(authorizer, "_tokens", lambda: SimpleNamespace(holder=holder))
    arn = "arn:aws:execute-api:eu-west-1:123456789012:abc/prod/POST/flan"
    event = {"headers": {"Authorization": "eyJhb.eyJz.sig"}, "methodArn": arn}

    answer = authorizer.handler(event, None)

    assert answer["policyDocument"]["Statement"][0]["Effect"] == "Deny"
    assert asked == ["eyJhb.eyJz.sig"]
