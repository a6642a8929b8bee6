"""What an error advises works: each is brought about through the handlers, then done as it says."""

from __future__ import annotations

import base64
import gzip
import importlib
import io
import json
import pkgutil
import re
import shlex
import subprocess
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import lambdas
from client.__main__ import _parser as client_parser
from lambdas.aws.functions import ModelFunctions
from lambdas.core import errors, invocation, waking
from lambdas.core.answer_headers import answer_headers
from lambdas.core.called_models import CalledModel, CalledModels
from lambdas.core.deploys import DrainIncomplete, NotSettled, NotSynced
from lambdas.core.errors import MeterError
from lambdas.core.executions import AsyncCalls
from lambdas.core.invocation import Invocation, ModelAnswer
from lambdas.core.name_patterns import NamePatterns
from lambdas.core.scopes import Scopes
from lambdas.core.settings import IntegrationSettings
from lambdas.core.spec import AsyncMode
from lambdas.core.state import MAX_SESSIONS, Owner, Status
from lambdas.core.takeover import Limits
from lambdas.handlers import api, calls, integration, refusals
from lambdas.handlers.routes import events, executions, expiry, schedule, updates
from tests.fakes import OFFICE_HOURS, a_spec
from tests.unit.api_client import ALL_SCOPES, Client, FakeRates
from tests.unit.interleaving import failing
from tests.unit.test_executions import MACHINE, FakeExecutions
from tests.world import World

NAME = "falcon"
EXPIRY, SCHEDULE, WEIGHTS = "/endpoint-expiry", "/endpoint-schedule", "/endpoint-weights"
RENEWAL: Mapping[str, Any] = {"EndpointName": NAME, "minutes": 5}
WEIGH = {
    "EndpointName": NAME,
    "DesiredWeightsAndCapacities": [{"VariantName": "all", "DesiredWeight": 2}],
}
CALL = re.compile(r"(GET|POST|PUT|DELETE) (/[a-z.-]+)(?:\?([^\s;]*[^\s;,.]))?(?: (\{[^}]*\}))?")
"""A call in an advice."""


class FakeRuntime:
    """SageMaker's runtime: serves what runs and is ours, unless a test sets `error`."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.error: Exception | None = None
        self.answer = b"{}"

    def invoke(self, endpoint_name: str, _asked: Invocation) -> ModelAnswer:
        if self.error:
            raise self.error
        live = self.world.endpoints.live.get(endpoint_name)
        if live is None or self.world.status(endpoint_name) is not Status.IN_SERVICE:
            raise invocation.NotServed
        if not live.owner.ours:
            raise invocation.NotServed
        return ModelAnswer(self.answer, "application/json")


class Scene:
    """The product on fakes: the REST API, and the function of the model `falcon`."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        # The functions of models read the clock.
        self.world = world = World(datetime.now(UTC).replace(microsecond=0))
        self.patch = patch
        self.rates, self.runtime = FakeRates(), FakeRuntime(world)
        world.deploy(a_spec(NAME))
        world.endpoints.configs |= {"cfg", "other"}
        runs = FakeExecutions()
        asynchronous = AsyncCalls(world.store, runs, runs, MACHINE)
        for module, what in (
            (expiry, {"use_cases": world.expiry, "sessions": world.sessions}),
            (schedule, {"use_cases": world.schedules}),
            (updates, {"use_cases": world.updates}),
            (events, {"use_cases": world.events}),
            (executions, {"_calls": asynchronous}),
            (api, {"rates": self.rates, "headers_of_answers": answer_headers("")}),
            (integration, {"_runtime": self.runtime}),
        ):
            for name, value in what.items():
                patch.setattr(module, name, lambda value=value: value)
            if hasattr(module, "utc_now"):
                patch.setattr(module, "utc_now", lambda: world.now)
        settings = IntegrationSettings(NAME, "falcon", 5)
        patch.setattr(integration, "settings", lambda: settings)
        self.function: Callable[..., Any] = integration.integration()
        self.serve(CalledModel(NAME))
        self.call = Client(world)

    def serve(self, model: CalledModel, functions: Any = None) -> None:
        """Deploy the route `falcon`."""
        world = self.world
        at_once: Any = SimpleNamespace(
            call=lambda _name, event, _seconds: self.function(event, None)
        )
        rates: Any = self.rates
        parts = calls.Parts(
            CalledModels("*", "*", {"falcon": model}),
            functions or at_once,
            rates,
            world.store,
            world.store,
            world.history,
            world.hints,
            answer_headers(""),
        )
        self.patch.setattr(calls, "parts", lambda: parts)

    def invoked(self, payload: bytes) -> dict[str, Any]:
        """The answer of Lambda to an event for the function of the model."""
        reply = self.function(json.loads(payload), None)
        return {"Payload": io.BytesIO(json.dumps(reply).encode())}

    def refused(self, kind: type[MeterError], reply: SimpleNamespace) -> str:
        """Check that the answer is of that class of error; returns its sentence."""
        assert reply.status >= 400 or reply.status == 202
        sentence: str = reply.document["error"]
        advice = re.escape(kind.advice.replace("\n", " "))
        template = re.sub(r"\\\$[a-z]+", ".*", advice)
        assert re.search(template + "$", sentence, re.DOTALL), sentence
        return sentence

    def limit(self, **limits: Any) -> None:
        """Deploy another config of the stack."""
        self.world.expiry = replace(self.world.expiry, limits=Limits(**limits))
        self.patch.setattr(expiry, "use_cases", lambda: self.world.expiry)

    def renew(self, **more: Any) -> SimpleNamespace:
        return self.call("POST", EXPIRY, RENEWAL, **more)

    def post(self, path: str, body: object, **more: Any) -> SimpleNamespace:
        return self.call("POST", path, body, **more)

    def add(self, name: str = "mine", config: str = "cfg", **more: Any) -> SimpleNamespace:
        scopes = more.pop("scopes", ALL_SCOPES)
        body = {"EndpointName": name, "EndpointConfigName": config, "minutes": 30, **more}
        return self.call("POST", EXPIRY, body, scopes=scopes)

    def advised(self, sentence: str, **known: str) -> list[Callable[[], SimpleNamespace]]:
        """The calls in a sentence, to be made. `known` are the words in capital letters."""
        return list(self._advised(sentence, known))

    def _advised(
        self, sentence: str, known: Mapping[str, str]
    ) -> Iterator[Callable[[], SimpleNamespace]]:
        for method, path, query, body in CALL.findall(sentence):
            pairs = dict(pair.split("=") for pair in query.split("&")) if query else None
            sent = {name: known.get(value, value) for name, value in (pairs or {}).items()}
            filled = re.sub(r": ([A-Z]+)", lambda word: f": {json.dumps(known[word[1]])}", body)
            yield partial(self.call, method, path, filled or None, query=sent or None)

    def wait(self, reply: SimpleNamespace) -> None:
        self.world.advance(seconds=int(reply.headers["Retry-After"]))

    def by_hand(self, owner: Owner = Owner.NOBODY, config: str = "other") -> None:
        """Somebody else makes an endpoint with the name of ours."""
        self.world.endpoints.run_by_hand(NAME, config, owner)

    def model(self, body: str = "{}", **sent: Any) -> SimpleNamespace:
        """Call the model through its function."""
        headers = sent.pop("headers", {"Content-Type": "application/json"})
        scopes = sent.pop("scopes", ALL_SCOPES)
        event = {
            "httpMethod": "POST",
            "resource": "/falcon",
            "headers": headers,
            "multiValueHeaders": {name: [value] for name, value in headers.items()},
            "body": body,
            "requestContext": {
                "requestId": "r-1",
                "authorizer": {"principal": "ann", "scopes": scopes, "identity": "a1"},
            },
            **sent,
        }
        reply = calls.handler(event, None)
        self.world.settle()
        document = json.loads(reply["body"])
        return SimpleNamespace(
            status=reply["statusCode"], document=document, headers=reply["headers"]
        )


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    return Scene(monkeypatch)


Story = Callable[[Scene], None]
STORIES: dict[type[MeterError], Story] = {}
INTERNAL = {
    errors.Conflict,
    errors.Denied,  # the caller gets the answer of API Gateway
    errors.Locked,
    errors.NotServing,
    errors.NameTaken,
    invocation.InvocationFailed,
    invocation.NotServed,
    refusals.RequestRefused,
}
"""Classes that no caller sees, and bases of others."""


def story(*kinds: type[MeterError]) -> Callable[[Story], Story]:
    def tells(told: Story) -> Story:
        STORIES.update(dict.fromkeys(kinds, told))
        return told

    return tells


def every_class() -> Iterator[type[MeterError]]:
    for module in pkgutil.walk_packages(lambdas.__path__, "lambdas."):
        importlib.import_module(module.name)
    found = [MeterError]
    while found:
        for kind in found.pop().__subclasses__():
            found.append(kind)
            yield kind


def test_every_error_has_an_advice_and_a_story_of_its_own() -> None:
    kinds = set(every_class())
    advising = {kind for kind in kinds if "advice" in vars(kind)}
    assert {kind for kind in kinds if not kind.advice} == INTERNAL
    assert set(STORIES) == advising


@story(errors.InvalidField)
def _page_token(scene: Scene) -> None:
    scopes = f"read:{NAME} read:other"
    scene.world.deploy(a_spec(NAME), a_spec("other", "cfg"))
    page = scene.call("GET", EXPIRY, query={"limit": "1"}, scopes=scopes)
    query = {"limit": "1", "next": "made up"}
    scene.refused(errors.InvalidField, scene.call("GET", EXPIRY, query=query, scopes=scopes))
    query["next"] = page.headers["X-Next"]
    assert scene.call("GET", EXPIRY, query=query, scopes=scopes).status == 200


@story(errors.UnknownEndpoint)
def _unknown(scene: Scene) -> None:
    reply = scene.call("GET", EXPIRY, query={"EndpointName": "nobody"})
    lists, adds = scene.advised(scene.refused(errors.UnknownEndpoint, reply), CONFIG="cfg")
    assert lists().document[0]["EndpointName"] == NAME
    assert adds().status == 201


@story(errors.SpecUnreadable)
def _unreadable(scene: Scene) -> None:
    scene.world.deploy(a_spec("new", unreadable="a window of a newer form"))
    query = {"EndpointName": "new"}
    scene.refused(errors.SpecUnreadable, scene.call("GET", EXPIRY, query=query))
    scene.world.deploy(a_spec("new"))
    assert scene.call("GET", EXPIRY, query=query).status == 200


@story(errors.ScopeMissing)
def _scope(scene: Scene) -> None:
    for ask in (scene.renew, scene.model):
        said = scene.refused(errors.ScopeMissing, ask(scopes="read"))
        command = re.search(r"make token ARGS='(.*)'\.$", said)
        assert command
        options = client_parser().parse_args(["token", *shlex.split(command[1])])
        assert ask(scopes=str(Scopes.parse(options.scopes))).status != 403


@story(errors.DiffersInCase)
def _case(scene: Scene) -> None:
    said = scene.refused(errors.DiffersInCase, scene.add("FALCON", "falcon-1"))
    known = re.search(r"Send '(.*?)'", said)
    assert known
    assert scene.add(known[1], "falcon-1").status == 200
    assert scene.add("another").status == 201


@story(errors.OtherConfig)
def _other_config(scene: Scene) -> None:
    said = scene.refused(errors.OtherConfig, scene.add(NAME, "other"))
    renews, moves = scene.advised(said, CONFIG="other")
    assert (renews().status, moves().status) == (200, 202)
    assert scene.add(NAME, "other").status == 200
    assert scene.add("another", "other").status == 201


@story(errors.NotOurs)
def _not_ours(scene: Scene) -> None:
    scene.by_hand()
    for reply in (
        scene.renew(scopes="renew"),
        scene.post(EXPIRY, {**RENEWAL, "session": "s"}, scopes="renew"),
        scene.add(NAME, "falcon-1", scopes="renew"),
        scene.model(),
    ):
        scene.refused(errors.NotOurs, reply)
        assert reply.status == 409
    said = scene.refused(errors.NotAdopted, scene.renew(scopes="renew manage"))
    (adopts,) = scene.advised(said)
    assert adopts().status == 200
    assert scene.renew(scopes="renew").status == 200


@story(errors.NotAdopted)
def _adopt(scene: Scene) -> None:
    scene.by_hand()
    replies = (scene.renew(), scene.add(NAME, "falcon-1"), scene.post(WEIGHTS, WEIGH))
    (said,) = {scene.refused(errors.NotAdopted, reply) for reply in replies}
    (adopts,) = scene.advised(said)
    assert adopts().status == 200
    scene.world.advance(minutes=1)
    assert scene.world.endpoints.live[NAME].config_name == "falcon-1", "it moved to its config"
    assert scene.post(WEIGHTS, WEIGH).status == 202
    scene.by_hand()
    scene.refused(errors.NotAdopted, scene.post(WEIGHTS, WEIGH))
    scene.world.endpoints.live.clear()
    scene.world.advance(minutes=1)
    assert scene.renew().status == 200, "it was deleted"


@story(errors.NotYetAdoptable)
def _not_yet(scene: Scene) -> None:
    scene.by_hand()
    scene.world.endpoints.live[NAME].status = Status.CREATING
    scene.refused(errors.NotYetAdoptable, scene.renew())
    scene.refused(errors.NotYetAdoptable, scene.add(NAME, "falcon-1", adopt=True))
    scene.world.endpoints.live[NAME].status = Status.IN_SERVICE
    assert scene.add(NAME, "falcon-1", adopt=True).status == 200
    scene.world.endpoints.live.clear()
    assert scene.renew().status == 200


@story(errors.Ignored)
def _ignored(scene: Scene) -> None:
    scene.by_hand(Owner.IGNORED)
    scene.refused(errors.Ignored, scene.renew())
    scene.refused(errors.Ignored, scene.add(NAME, "falcon-1", adopt=True))
    scene.world.endpoints.live[NAME].owner = Owner.NOBODY
    assert scene.add(NAME, "falcon-1", adopt=True).status == 200
    scene.by_hand(Owner.IGNORED)
    scene.world.endpoints.live.clear()
    assert scene.renew().status == 200


@story(errors.OfAnotherStack)
def _another_stack(scene: Scene) -> None:
    scene.by_hand(Owner.ANOTHER_STACK)
    scene.refused(errors.OfAnotherStack, scene.renew())
    scene.refused(errors.OfAnotherStack, scene.add(NAME, "falcon-1", adopt=True))
    scene.world.endpoints.live.clear()
    assert scene.renew().status == 200


@story(errors.NotAdoptable)
def _adoptable(scene: Scene) -> None:
    scene.by_hand()
    scene.limit(adoptable=NamePatterns(("team-*",)))
    scene.refused(errors.NotOurs, scene.renew())
    scene.refused(errors.NotAdoptable, scene.add(NAME, "falcon-1", adopt=True))
    scene.limit(adoptable=NamePatterns(("team-*", NAME)))
    assert scene.add(NAME, "falcon-1", adopt=True).status == 200


@story(errors.ConfigNotAddable)
def _addable(scene: Scene) -> None:
    scene.limit(addable_configs=NamePatterns(("other",)))
    scene.refused(errors.ConfigNotAddable, scene.add())
    scene.limit(addable_configs=NamePatterns(("other", "c*")))
    assert scene.add().status == 201


@story(errors.TooManyAdded)
def _too_many(scene: Scene) -> None:
    scene.limit(max_added=1)
    scene.add("old")
    (forgets,) = scene.advised(scene.refused(errors.TooManyAdded, scene.add()), NAME="old")
    assert forgets().status == 200
    assert scene.add().status == 201


@story(errors.TooManyAddedToday)
def _too_many_today(scene: Scene) -> None:
    scene.limit(max_added_per_token_per_day=1)
    scene.add("first")
    refused = scene.add()
    scene.refused(errors.TooManyAddedToday, refused)
    assert scene.renew().status == 200
    scene.wait(refused)
    assert scene.add().status == 201


@story(errors.UnknownEndpointConfig)
def _unknown_config(scene: Scene) -> None:
    scene.refused(errors.UnknownEndpointConfig, scene.add(config="new-cfg"))
    assert scene.add("one").status == 201
    scene.world.endpoints.configs.add("new-cfg")
    assert scene.add(config="new-cfg").status == 201


@story(errors.ConfigOwned)
def _config_owned(scene: Scene) -> None:
    body = {"schedule": [OFFICE_HOURS.document()]}
    query = {"EndpointName": NAME}
    scene.refused(errors.ConfigOwned, scene.call("PUT", SCHEDULE, body, query=query))
    scene.world.deploy(a_spec(NAME, schedules=(OFFICE_HOURS,)))
    assert scene.call("GET", SCHEDULE, query=query).document["schedule"] == body["schedule"]
    forget = {**query, "forget": "true"}
    scene.refused(errors.ConfigOwned, scene.call("DELETE", EXPIRY, query=forget))
    scene.world.deploy()
    assert scene.call("GET", EXPIRY, query=query).status == 404


@story(errors.LeaseTooLong)
def _too_long(scene: Scene) -> None:
    too_long = {**RENEWAL, "minutes": 43_201}
    scene.refused(errors.LeaseTooLong, scene.post(EXPIRY, too_long))
    full = {**RENEWAL, "minutes": 43_200}
    assert scene.post(EXPIRY, full).status == 200
    scene.refused(errors.LeaseTooLong, scene.renew())
    scene.world.advance(minutes=6)
    assert scene.renew().status == 200


@story(errors.TooManySessions)
def _sessions(scene: Scene) -> None:
    for number in range(MAX_SESSIONS):
        scene.post(EXPIRY, {**RENEWAL, "session": f"s{number}"})
    one_more = {**RENEWAL, "session": "one-more"}
    said = scene.refused(errors.TooManySessions, scene.post(EXPIRY, one_more))
    ends, renews = scene.advised(said, SESSION="s3")
    assert (renews().status, ends().status) == (200, 200)
    assert scene.post(EXPIRY, one_more).status == 200


@story(errors.NotInService)
def _not_in_service(scene: Scene) -> None:
    looks, starts = scene.advised(scene.refused(errors.NotInService, scene.post(WEIGHTS, WEIGH)))
    assert looks().document["Status"] == "Absent"
    assert starts().status == 200
    scene.world.advance(minutes=1)
    assert looks().document["Status"] == "InService"
    assert scene.post(WEIGHTS, WEIGH).status == 202


@story(errors.IdempotencyConflict)
def _key(scene: Scene) -> None:
    scene.renew(headers={"Idempotency-Key": "k"})
    more = {**RENEWAL, "minutes": 6}
    refused = scene.post(EXPIRY, more, headers={"Idempotency-Key": "k"})
    scene.refused(errors.IdempotencyConflict, refused)
    assert scene.post(EXPIRY, more, headers={"Idempotency-Key": "k2"}).status == 200


@story(errors.Draining)
def _draining(scene: Scene) -> None:
    scene.world.store.set_drain(scene.world.now + timedelta(minutes=30))
    scene.refused(errors.Draining, scene.renew())
    scene.world.deploy(a_spec(NAME))
    assert scene.renew().status == 200


@story(errors.EndpointStopped)
def _stopped(scene: Scene) -> None:
    (starts,) = scene.advised(scene.refused(errors.EndpointStopped, scene.model()))
    assert starts().status == 200
    scene.world.advance(minutes=1)
    assert scene.model().status == 200


@story(errors.EndpointStarting)
def _starting(scene: Scene) -> None:
    scene.renew()
    reply = scene.model()
    scene.refused(errors.EndpointStarting, reply)
    scene.wait(reply)
    assert scene.model().status == 200


@story(waking.TooManyWakes)
def _wakes(scene: Scene) -> None:
    scene.serve(CalledModel(NAME, wake_minutes=10, wakes_per_token_an_hour=0))
    scene.patch.setattr(scene.world.store, "wakes", {})
    reply = scene.model()
    (starts,) = scene.advised(scene.refused(waking.TooManyWakes, reply))
    assert int(reply.headers["Retry-After"]) <= 3601
    assert starts().status == 200
    scene.world.advance(minutes=1)
    assert scene.model().status == 200


@story(errors.AsyncApiDisabled)
def _async(scene: Scene) -> None:
    body = {"endpointname": NAME, "body": {}}
    scene.renew()
    scene.world.advance(minutes=1)
    scene.refused(errors.AsyncApiDisabled, scene.post("/startexecution", body))
    scene.world.deploy(a_spec(NAME, async_api=AsyncMode.DIRECT))
    assert scene.post("/startexecution", body).status == 200


@story(errors.AsyncApiNotChosen)
def _async_of_added(scene: Scene) -> None:
    scene.add()
    scene.world.advance(minutes=1)
    body = {"endpointname": "mine", "body": {}}
    (chooses,) = scene.advised(
        scene.refused(errors.AsyncApiNotChosen, scene.post("/startexecution", body))
    )
    assert chooses().status == 200
    assert scene.post("/startexecution", body).status == 200


@story(errors.UnknownExecution, errors.NotYourExecution)
def _executions(scene: Scene) -> None:
    scene.world.deploy(a_spec(NAME, async_api=AsyncMode.DIRECT))
    scene.renew()
    scene.world.advance(minutes=1)
    unknown = scene.post("/describeexecution", {"executionArn": "arn:none"})
    scene.refused(errors.UnknownExecution, unknown)
    started = scene.post("/startexecution", {"endpointname": NAME, "body": {}}, identity="a1")
    mine = {"executionArn": started.document["executionArn"]}
    other = scene.post("/describeexecution", mine, identity="b2")
    scene.refused(errors.NotYourExecution, other)
    assert scene.post("/describeexecution", mine, identity="a1").document.keys() >= mine.keys()


def failing_once(scene: Scene, error: Exception, *, after: bool = False) -> None:
    """Let the next renewal fail; `after` it took effect."""
    renew = scene.world.store.renew

    def fails(*given: Any) -> Any:
        scene.patch.setattr(scene.world.store, "renew", renew)
        if after:
            renew(*given)
        raise error

    scene.patch.setattr(scene.world.store, "renew", fails)


@story(errors.Busy, errors.Throttled)
def _again(scene: Scene) -> None:
    for error in (errors.Busy(), errors.Throttled("ThrottlingException", "")):
        failing_once(scene, error)
        refused = scene.renew()
        scene.refused(type(error), refused)
        scene.wait(refused)
        assert scene.renew().status == 200


@story(errors.Unanswered)
def _unanswered(scene: Scene) -> None:
    failing_once(scene, errors.Unanswered("ReadTimeoutError", ""), after=True)
    key = {"Idempotency-Key": "k"}
    (looks,) = scene.advised(scene.refused(errors.Unanswered, scene.renew(headers=key)))
    (before,) = looks().document
    assert before["SecondsLeft"] == 300
    assert scene.renew(headers=key).document["SecondsLeft"] == 300
    assert looks().document[0]["SecondsLeft"] == 300, "it was paid once"


@story(errors.AwsRefused, errors.AwsDenied)
def _log(scene: Scene) -> None:
    logged: list[Mapping[str, object]] = []
    scene.patch.setattr(api._log, "info", lambda _text, **more: logged.append(more))
    for kind in (errors.AwsRefused, errors.AwsDenied):
        logged.clear()
        failing_once(scene, kind("SomeCode", "the reason"))
        refused = scene.renew()
        scene.refused(kind, refused)
        id_told = refused.document["requestId"]
        reasons = [str(e.get("error")) for e in logged if e.get("request_id") == id_told]
        assert "SomeCode: the reason" in reasons


@story(refusals.InternalError)
def _bug(scene: Scene) -> None:
    logged: list[Mapping[str, object]] = []
    scene.patch.setattr(api._log, "exception", lambda _text, **more: logged.append(more))
    failing_once(scene, RuntimeError("a bug"))
    refused = scene.renew()
    scene.refused(refusals.InternalError, refused)
    assert logged[0]["request_id"] == refused.document["requestId"]


@story(
    invocation.InvalidInvocation,
    invocation.ModelFailed,
    invocation.ModelNotReady,
    invocation.TooManyInvocations,
    invocation.ModelTimedOut,
)
def _model(scene: Scene) -> None:
    scene.world.deploy(a_spec(NAME, async_api=AsyncMode.DIRECT))
    scene.renew()
    scene.world.advance(minutes=1)
    for error in (
        invocation.InvalidInvocation("Variant B not found."),
        invocation.ModelFailed(400, "inputs: must be a text"),
        invocation.ModelNotReady(),
        invocation.TooManyInvocations(),
        invocation.ModelTimedOut(),
    ):
        scene.runtime.error = error
        refused = scene.model()
        said = scene.refused(type(error), refused)
        scene.runtime.error = None  # the request is mended, or the time is over
        if "Retry-After" in said:
            scene.wait(refused)
        assert scene.model().status == 200
    assert "POST /startexecution" in invocation.ModelTimedOut.advice
    assert scene.post("/startexecution", {"endpointname": NAME, "body": {}}).status == 200


@story(invocation.FunctionFailed)
def _function(scene: Scene) -> None:
    scene.renew()
    scene.world.advance(minutes=1)
    mended, scene.function = scene.function, failing(invocation.FunctionFailed())
    scene.refused(invocation.FunctionFailed, scene.model())
    scene.function = mended
    assert scene.model().status == 200


@story(invocation.CallTooLarge)
def _large_call(scene: Scene) -> None:
    scene.renew()
    scene.world.advance(minutes=1)
    client: Any = SimpleNamespace(invoke=lambda **sent: scene.invoked(sent["Payload"]))
    scene.serve(CalledModel(NAME), ModelFunctions({28: client}))
    scene.refused(invocation.CallTooLarge, scene.model(in_base64(invocation.MAX_BODY_BYTES)))
    through, direct = re.findall("[0-9,]{7,}", invocation.CallTooLarge.advice)
    most = in_base64(int(through.replace(",", "")))
    head = {"X-Long": '"' * 10_000}  # API Gateway takes no longer one
    assert scene.model(most, headers=head, isBase64Encoded=True).status == 200
    assert int(direct.replace(",", "")) == invocation.MAX_BODY_BYTES


def in_base64(size: int) -> str:
    return base64.b64encode(b"x" * size).decode()


@story(refusals.AnswerTooLarge)
def _large_answer(scene: Scene) -> None:
    scene.renew()
    scene.world.advance(minutes=1)
    scene.runtime.answer = b'"' + b"x" * invocation.MAX_BODY_BYTES + b'"'
    scene.refused(refusals.AnswerTooLarge, scene.model())
    scene.runtime.answer = b"{}"
    assert scene.model().status == 200


@story(refusals.TooManyRequests)
def _rate(scene: Scene) -> None:
    scene.renew()
    scene.world.advance(minutes=1)
    for ask in (scene.renew, scene.model):
        scene.rates.wait = 7
        refused = ask()
        said = scene.refused(refusals.TooManyRequests, refused)
        assert said.endswith("Wait 7 s.")
        assert refused.headers["Retry-After"] == "7"
        scene.rates.wait = None
        assert ask().status == 200


@story(refusals.SeveralTokens)
def _tokens(scene: Scene) -> None:
    two = {"multiValueHeaders": {"Authorization": ["a", "b"]}}
    scene.refused(refusals.SeveralTokens, scene.renew(sent=two))
    one = {"multiValueHeaders": {"Authorization": ["a"]}}
    assert scene.renew(sent=one).status == 200


@story(refusals.RouteNotFound, refusals.MethodNotAllowed)
def _routes(scene: Scene) -> None:
    said = scene.refused(refusals.RouteNotFound, scene.call("GET", "/nowhere"))
    (lists,) = scene.advised(said)
    path = next(path for path in lists().document["paths"] if path == EXPIRY)
    said = scene.refused(refusals.MethodNotAllowed, scene.call("PATCH", path))
    method = re.search(r"Call it with (\w+)", said)
    assert method
    assert scene.call(method[1], path).status == 200


@story(refusals.InvalidRequest, refusals.UnknownParameter)
def _requests(scene: Scene) -> None:
    scene.refused(refusals.InvalidRequest, scene.post(EXPIRY, {**RENEWAL, "minutes": 0}))
    assert scene.post(EXPIRY, {**RENEWAL, "minutes": 1}).status == 200
    refused = scene.call("GET", EXPIRY, query={"EndpointNam": NAME})
    right = re.search("did you mean '(.*)'", scene.refused(refusals.UnknownParameter, refused))
    assert right
    assert scene.call("GET", EXPIRY, query={right[1]: NAME}).status == 200


@story(
    refusals.BodyTooLarge,
    refusals.UnsupportedMediaType,
    refusals.UnsupportedCoding,
    refusals.MalformedJson,
    refusals.InvalidBody,
    refusals.BodyTooDeep,
)
def _bodies(scene: Scene) -> None:
    deep = "[" * 250 + "]" * 250
    for kind, body, headers in (
        (refusals.BodyTooLarge, json.dumps({"x": "y" * 130_000}), {}),
        (refusals.UnsupportedMediaType, json.dumps(RENEWAL), {"Content-Type": "text/xml"}),
        (refusals.UnsupportedCoding, json.dumps(RENEWAL), {"Content-Encoding": "br"}),
        (refusals.MalformedJson, "{", {}),
        (refusals.InvalidBody, "[]", {}),
        (refusals.BodyTooDeep, f'{{"x": {deep}}}', {}),
    ):
        scene.refused(kind, scene.post(EXPIRY, body, headers=headers))
    media = re.search("Content-Type: (.*)'", refusals.UnsupportedMediaType.advice)
    assert media
    assert scene.renew(headers={"Content-Type": media[1]}).status == 200
    packed: dict[str, Callable[[bytes], bytes]] = {
        "gzip": gzip.compress,
        "deflate": zlib.compress,
        "identity": bytes,
    }
    for coding, pack in packed.items():
        assert coding in refusals.UnsupportedCoding.advice
        body = base64.b64encode(pack(json.dumps(RENEWAL).encode())).decode()
        sent = {"isBase64Encoded": True}
        headers = {"Content-Encoding": coding}
        assert scene.call("POST", EXPIRY, body, headers=headers, sent=sent).status == 200


@story(DrainIncomplete)
def _drain(scene: Scene) -> None:
    scene.renew()
    scene.world.endpoints.live[NAME].settles_at = scene.world.now + timedelta(hours=1)
    with pytest.raises(DrainIncomplete):
        scene.world.deploys.drain(60)
    scene.world.advance(hours=1)
    scene.world.deploys.drain(60)
    assert scene.world.status(NAME) is Status.ABSENT


@story(NotSynced)
def _synced(scene: Scene) -> None:
    touch = scene.world.store.touch
    scene.world.store.touch = failing(errors.Throttled("Error", "slow"))  # type: ignore[method-assign]
    scene.world.store.deploy(a_spec(NAME, "other"))
    with pytest.raises(NotSynced):
        scene.world.deploys.sync({NAME: "other"})
    scene.world.store.touch = touch  # type: ignore[method-assign]
    scene.world.deploy(a_spec(NAME, "other"))
    scene.world.advance(minutes=1)
    scene.world.deploys.settle({NAME: "other"})


@story(NotSettled)
def _settled(scene: Scene) -> None:
    scene.renew()
    scene.world.advance(minutes=1)
    manifest = {NAME: "other"}
    scene.world.store.deploy(a_spec(NAME, "other"))
    with pytest.raises(NotSettled):
        scene.world.deploys.settle(manifest)
    scene.call("DELETE", EXPIRY, query={"EndpointName": NAME})
    scene.world.deploy(a_spec(NAME, "other"))
    scene.world.advance(minutes=1)
    scene.world.deploys.settle(manifest)


@pytest.mark.parametrize("kind", list(STORIES), ids=lambda kind: kind.__name__)
def test_what_an_error_advises_works(kind: type[MeterError], scene: Scene) -> None:
    STORIES[kind](scene)


def test_command_of_an_advice_runs_nothing_that_a_caller_wrote(tmp_path: Path) -> None:
    """Whoever runs the stack pastes it into a shell, and make hands it to another one."""
    hostile = "x\" --days 1'; touch PWNED; echo '$(shell touch PWNED) `touch PWNED` $HOME"
    (tmp_path / "Makefile").write_text("token:\n\t@printf '%s\\n' $(ARGS)\n")
    said = str(errors.ScopeMissing("read", hostile))
    command = said[said.index("make token") :].removesuffix(".")
    done = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    words = ["create", "--name", "NAME", "--scopes", f"read:{hostile}", "--days", "30"]
    assert done.stdout.splitlines() == words, done.stderr
    assert not (tmp_path / "PWNED").exists()


def test_only_one_advice_is_a_command() -> None:
    """Another one would need the same quoting."""
    commands = [kind for kind in every_class() if re.search(r"make \w+|\$\(|aws ", kind.advice)]
    assert commands == [errors.ScopeMissing]
