"""Asynchronous calls: who may start them, who may read them, and what the model receives."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from lambdas.core.errors import (
    AsyncApiDisabled,
    EndpointStarting,
    EndpointStopped,
    IdempotencyConflict,
    InvalidField,
    NotYourExecution,
    UnknownEndpoint,
    UnknownExecution,
)
from lambdas.core.executions import (
    AsyncCalls,
    ExecutionExists,
    Started,
    output_of,
    output_of_kept,
)
from lambdas.core.invocation import ModelAnswer
from lambdas.core.schedule import Schedule
from lambdas.core.spec import AsyncMode
from lambdas.core.state import State
from tests.fakes import a_spec, clock
from tests.world import World

MACHINE = "arn:aws:states:us-east-1:000000000000:stateMachine:demo-async"
EXECUTIONS = "arn:aws:states:us-east-1:000000000000:execution:demo-async"
ANN, BOB = "a" * 32, "b" * 32


@dataclass
class FakeExecutions:
    """A fake of Step Functions: a name starts only one execution."""

    inputs: dict[str, str] = field(default_factory=dict)
    over: bool = False
    output: str | None = None

    def start(self, name: str, text: str) -> Started:
        arn = f"{EXECUTIONS}:{name}"
        if arn in self.inputs and (self.over or self.inputs[arn] != text):
            raise ExecutionExists
        self.inputs[arn] = text
        return Started(arn, clock(9))

    def describe(self, arn: str) -> Mapping[str, Any] | None:
        if arn not in self.inputs:
            return None
        return {
            "executionArn": arn,
            "name": arn.rpartition(":")[2],
            "status": "SUCCEEDED",
            "startDate": clock(9).timestamp(),
            "input": self.inputs[arn],
            **({"output": self.output} if self.output else {}),
        }

    def link(self, execution: str) -> str:
        return f"https://results/{execution}"


@dataclass
class Scene:
    world: World
    executions: FakeExecutions
    calls: AsyncCalls

    def start(self, body: Any, unique: str = "1", name: str = "falcon") -> str:
        answer = self.calls.start(name, body, ANN, unique, self.world.now)
        assert answer["startDate"] == clock(9).timestamp()
        return str(answer["executionArn"])


@pytest.fixture
def scene() -> Scene:
    world = World()
    world.deploy(
        a_spec("falcon", async_api=AsyncMode.DIRECT),
        a_spec("flan", "flan-1", async_api=AsyncMode.OFF),
    )
    world.renew("falcon", 60)
    world.renew("flan", 60)
    world.advance(minutes=10)
    executions = FakeExecutions()
    return Scene(world, executions, AsyncCalls(world.store, executions, executions, MACHINE))


@pytest.mark.parametrize(
    "body",
    [
        {"inputs": 'a "quote", a \\ and $.x, #if', "n": 1.5},
        [1, None, True, {"ключ": "日本語 😀"}],
        "just $text",
        7,
        None,
        {},
        {"x": "é" * 50_000},
    ],
)
def test_any_json_body_is_passed_on_unchanged(scene: Scene, body: Any) -> None:
    arn = scene.start(body)
    assert arn == f"{EXECUTIONS}:{ANN}-1"
    assert json.loads(scene.executions.inputs[arn]) == {"endpointname": "falcon", "body": body}


def test_names_are_found_in_any_case_and_passed_on_as_declared(scene: Scene) -> None:
    arn = scene.start({}, name="FALCON")
    assert json.loads(scene.executions.inputs[arn])["endpointname"] == "falcon"


def test_body_that_the_state_machine_cannot_carry_is_refused(scene: Scene) -> None:
    for body in (float("inf"), {"x": "y" * 262_144}):
        with pytest.raises(InvalidField) as refused:
            scene.start(body)
        assert refused.value.field == "body"
    assert not scene.executions.inputs


def test_input_of_exactly_the_limit_of_step_functions_is_passed_on(scene: Scene) -> None:
    envelope = len('{"endpointname":"falcon","body":""}')
    longest = "y" * (262_144 - envelope)
    assert len(scene.executions.inputs[scene.start(longest)].encode()) == 262_144
    with pytest.raises(InvalidField):
        scene.start(longest + "y", unique="2")


def test_name_that_no_endpoint_can_have_is_told_with_its_field(scene: Scene) -> None:
    with pytest.raises(InvalidField) as refused:
        scene.start({}, name="no name!")
    assert refused.value.field == "endpointname"


def test_name_of_an_execution_that_is_past_reading_is_a_conflict(scene: Scene) -> None:
    scene.executions.start(f"{ANN}-key", "{}")
    scene.executions.over = True
    scene.executions.describe = lambda arn: None  # type: ignore[method-assign]
    with pytest.raises(IdempotencyConflict):
        scene.start({}, unique="key")


def test_an_added_endpoint_takes_calls_after_the_advice_of_the_error_is_followed(
    scene: Scene,
) -> None:
    scene.world.add("added", "flan-1", 60)
    scene.world.advance(minutes=10)
    with pytest.raises(AsyncApiDisabled) as refused:
        scene.start({}, name="added")
    advice = re.search(r"POST /endpoint-expiry (\{.*\}),", str(refused.value))
    assert advice
    sent = json.loads(advice[1])
    answer = scene.world.add(
        sent["EndpointName"],
        sent["EndpointConfigName"],
        sent["minutes"],
        async_api=sent["async_api"],
    )
    assert (answer.http_status, answer.document["AsyncApi"]) == (200, True)
    assert scene.start({}, name="added")


def test_only_endpoints_with_the_async_api_enabled_can_be_called(scene: Scene) -> None:
    with pytest.raises(AsyncApiDisabled, match="async_api_enabled"):
        scene.start({}, name="flan")
    with pytest.raises(UnknownEndpoint):
        scene.start({}, name="other")


def test_a_stopped_endpoint_says_how_to_start_it_and_a_starting_one_when_to_come_back(
    scene: Scene,
) -> None:
    scene.world.stop("falcon")
    with pytest.raises(EndpointStopped, match="POST /endpoint-expiry") as stopped:
        scene.start({})
    assert stopped.value.retry_after_seconds == 60
    scene.world.advance(minutes=2)
    scene.world.renew("falcon", 60)
    with pytest.raises(EndpointStarting) as starting:
        scene.start({})
    assert 0 < starting.value.retry_after_seconds <= 60


def test_retry_after_of_a_scheduled_endpoint_is_the_time_until_its_window_opens() -> None:
    world = World(clock(8))
    nine = Schedule.parse(
        {"name": "w", "start_time": "09:00", "stop_time": "10:00", "days": ["mon"]}
    )
    world.deploy(a_spec("falcon", async_api=AsyncMode.DIRECT, schedules=(nine,)))
    none = FakeExecutions()
    calls = AsyncCalls(world.store, none, none, MACHINE)
    with pytest.raises(EndpointStopped) as stopped:
        calls.start("falcon", {}, ANN, "1", world.now)
    assert stopped.value.retry_after_seconds == 3600


def test_the_same_idempotency_key_starts_one_execution(scene: Scene) -> None:
    first = scene.start({"x": 1}, unique="key")
    assert scene.start({"x": 1}, unique="key") == first
    scene.executions.over = True
    assert scene.start({"x": 1}, unique="key") == first
    with pytest.raises(IdempotencyConflict):
        scene.start({"x": 2}, unique="key")
    assert len(scene.executions.inputs) == 1


def test_only_the_caller_who_started_an_execution_may_read_it(scene: Scene) -> None:
    arn = scene.start({"x": 1})
    assert scene.calls.describe(arn, ANN)["status"] == "SUCCEEDED"
    with pytest.raises(NotYourExecution):
        scene.calls.describe(arn, BOB)


@pytest.mark.parametrize(
    "arn",
    [
        "",
        "no ARN",
        f"{EXECUTIONS}:",
        f"{EXECUTIONS}:{ANN}-unknown",
        EXECUTIONS.replace("demo-async", "other") + f":{ANN}-1",
        EXECUTIONS + f"-2:{ANN}-1",
        MACHINE,
    ],
)
def test_executions_of_other_state_machines_are_unknown(scene: Scene, arn: str) -> None:
    scene.start({})
    with pytest.raises(UnknownExecution):
        scene.calls.describe(arn, ANN)


def test_endpoint_with_results_in_s3_is_called_through_lambda(scene: Scene) -> None:
    scene.world.deploy(a_spec("falcon", async_api=AsyncMode.THROUGH_LAMBDA))
    arn = scene.start({"x": 1})
    assert json.loads(scene.executions.inputs[arn])["via"] == "lambda"


def test_an_answer_kept_in_s3_is_returned_as_a_link(scene: Scene) -> None:
    arn = scene.start({})
    answer = ModelAnswer(b"x" * 200_000, "text/plain", variant="AllTraffic")
    assert output_of(answer) is None
    scene.executions.output = json.dumps(output_of_kept(answer))
    described = scene.calls.describe(arn, ANN)
    assert described["status"] == "SUCCEEDED"
    output = json.loads(described["output"])
    assert output == {
        "ContentType": "text/plain",
        "InvokedProductionVariant": "AllTraffic",
        "ResultUrl": f"https://results/{ANN}-1",
    }


@pytest.mark.parametrize("body", [b'"quotes" and \\', "日本語".encode(), b"", b"x" * 170_000])
def test_a_text_that_fits_is_returned_in_the_output(scene: Scene, body: bytes) -> None:
    arn = scene.start({})
    output = output_of(ModelAnswer(body, "text/plain", variant="v"))
    assert output is not None
    assert output["Body"].encode() == body
    assert (output["ContentType"], output["InvokedProductionVariant"]) == ("text/plain", "v")
    scene.executions.output = json.dumps(output)
    assert json.loads(scene.calls.describe(arn, ANN)["output"]) == output


def test_output_of_exactly_the_limit_is_no_link() -> None:
    envelope = len(json.dumps(output_of(ModelAnswer(b"", "text/plain", variant="v"))))
    longest = b"x" * (180_000 - envelope)
    assert output_of(ModelAnswer(longest, "text/plain", variant="v")) is not None
    assert output_of(ModelAnswer(longest + b"x", "text/plain", variant="v")) is None


@pytest.mark.parametrize("body", [b"\xff\xfe", b'"' * 100_000, "é".encode() * 31_000])
def test_binary_and_too_long_answers_do_not_go_into_the_output(body: bytes) -> None:
    assert output_of(ModelAnswer(body, "text/plain", variant="v")) is None


def test_an_endpoint_that_was_never_observed_counts_as_stopped(scene: Scene) -> None:
    record = scene.world.store.records["falcon"]
    scene.world.store.records["falcon"] = type(record)(
        key="falcon", config_spec=record.config_spec, state=State()
    )
    with pytest.raises(EndpointStopped):
        scene.start({})
