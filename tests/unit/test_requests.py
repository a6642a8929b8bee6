"""Requests to the API at their edges: ids, fields of errors, limits of bodies, wiring."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from lambdas.core.answer_headers import answer_headers
from lambdas.core.errors import AwsRefused, Busy
from lambdas.core.executions import unique_of
from lambdas.core.name_patterns import NamePatterns
from lambdas.core.schedule import Schedule
from lambdas.core.settings import ApiSettings
from lambdas.core.takeover import Limits
from lambdas.handlers import api, request_context
from lambdas.handlers.bodies import with_text_body
from lambdas.handlers.callers import caller_of
from lambdas.handlers.error_answers import answer_to
from lambdas.handlers.headers import (
    answered_with,
    values_of,
    with_header,
    without_header,
)
from lambdas.handlers.refusals import RouteNotFound, UnknownParameter
from lambdas.handlers.routes import events, executions, expiry, health, schedule, updates
from tests.fakes import a_spec
from tests.unit.api_client import Client, FakeRates
from tests.world import World

NAME = "demo-Falcon"
LIMIT = 128_000


@pytest.fixture
def world() -> World:
    world = World()
    world.deploy(a_spec(NAME), a_spec("demo-Flan", "flan-1"))
    return world


class FakeCalls:
    """A fake of the use cases of asynchronous calls: notes how it was called."""

    def __init__(self) -> None:
        self.noted: list[tuple[Any, ...]] = []

    def start(self, *given: Any) -> dict[str, Any]:
        self.noted.append(given)
        return {"executionArn": "arn:1", "startDate": 1.5}

    def describe(self, *given: Any) -> dict[str, Any]:
        self.noted.append(given)
        return {
            "executionArn": "arn:1",
            "name": "n",
            "status": "RUNNING",
            "startDate": 1.5,
            "input": "{}",
        }


@pytest.fixture
def calls() -> FakeCalls:
    return FakeCalls()


@pytest.fixture
def call(world: World, calls: FakeCalls, monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setattr(api, "rates", FakeRates)
    monkeypatch.setattr(api, "headers_of_answers", lambda: answer_headers(""))
    monkeypatch.setattr(expiry, "use_cases", lambda: world.expiry)
    monkeypatch.setattr(expiry, "sessions", lambda: world.sessions)
    monkeypatch.setattr(schedule, "use_cases", lambda: world.schedules)
    monkeypatch.setattr(events, "use_cases", lambda: world.events)
    monkeypatch.setattr(updates, "use_cases", lambda: world.updates)
    monkeypatch.setattr(health, "adapters", lambda: world.expiry)
    monkeypatch.setattr(executions, "_calls", lambda: calls)
    for module in (expiry, schedule, health, updates, executions):
        monkeypatch.setattr(module, "utc_now", lambda: world.now)
    return Client(world)


def refusal(reply: Any) -> tuple[int, str, str]:
    return reply.status, reply.document["code"], reply.document["error"]


# --- answers ----------------------------------------------------------------------------------


def test_refusal_has_the_id_of_the_request_wherever_it_comes_from(call: Client) -> None:
    for reply in (
        call("GET", "/nowhere"),
        call("POST", "/endpoint-expiry", {"EndpointName": NAME}),
        call("GET", "/endpoint-expiry", query={"limit": "x"}),
        call("GET", "/endpoint-expiry", query={"EndpointName": "other"}),
    ):
        assert reply.document["requestId"] == "r-1"
    context = {"authorizer": {"principal": "a", "scopes": "read", "identity": "1"}}
    unnamed = call("GET", "/nowhere", sent={"requestContext": context})
    assert unnamed.document["requestId"] == "a-1", "then it has that of the function"


def test_path_may_end_with_a_slash(call: Client) -> None:
    assert call("GET", "/health/").status in {200, 503}
    assert refusal(call("GET", "/nowhere/"))[:2] == (404, "RouteNotFound")
    assert str(RouteNotFound("/nowhere")).startswith("There is no /nowhere here.")


def test_refused_request_of_no_route_says_that_nothing_was_to_be_changed(
    call: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = answer_to(Busy(), "r-1", changes=False)
    assert error["statusCode"] == 503

    rates = FakeRates()
    rates.wait = 30
    monkeypatch.setattr(api, "rates", lambda: rates)
    reply = call("GET", "/health")
    assert refusal(reply)[:2] == (429, "TooManyRequests")
    assert reply.headers["Retry-After"] == "30"


def test_wrong_fields_are_all_named_without_where_they_were_sent(call: Client) -> None:
    reply = call("POST", "/endpoint-expiry", {"minutes": "x", "EndpointName": 5})
    status, code, sentence = refusal(reply)
    assert (status, code) == (400, "InvalidRequest")
    faults = sentence.split("; ")
    assert [fault.partition(":")[0] for fault in faults] == ["EndpointName", "minutes"]

    assert refusal(call("GET", "/endpoint-expiry", query={"limit": "0"}))[2].startswith("limit: ")
    nested = call("PUT", "/endpoint-schedule", {"EndpointName": NAME, "schedule": ["x"]})
    assert refusal(nested)[2].startswith("schedule[0]: ")


def test_every_answer_is_json(call: Client, world: World) -> None:
    world.endpoints.configs.add("cfg")
    update = {"EndpointName": NAME, "EndpointConfigName": "cfg"}
    for reply in (
        call("GET", "/openapi.json"),
        call("GET", "/health"),
        call("GET", "/endpoint-expiry"),
        call("GET", "/endpoint-schedule", query={"EndpointName": NAME}),
        call("GET", "/endpoint-events", query={"EndpointName": NAME}),
        call("POST", "/endpoint-update", update),
        call("GET", "/nowhere"),
    ):
        assert reply.headers["Content-Type"] == "application/json"


def test_unknown_parameter_suggests_the_nearest_one() -> None:
    assert str(UnknownParameter("Limit", ("limit", "next"))).endswith("did you mean 'limit'?")
    assert str(UnknownParameter("zzz", ("limit", "next"))).endswith("this call takes limit, next")
    assert str(UnknownParameter("zzz", ())).endswith("this call takes none")


# --- bodies -----------------------------------------------------------------------------------


def padded(size: int) -> str:
    """A body of exactly so many bytes."""
    body = json.dumps({"EndpointName": NAME, "minutes": 5})
    return body[:-1] + " " * (size - len(body)) + body[-1]


def test_body_of_exactly_the_limit_is_read(call: Client) -> None:
    assert call("POST", "/endpoint-expiry", padded(LIMIT)).status == 200
    status, code, sentence = refusal(call("POST", "/endpoint-expiry", padded(LIMIT + 1)))
    assert (status, code) == (413, "BodyTooLarge")
    assert "128,000 bytes" in sentence


@pytest.mark.parametrize(("depth", "status"), [(199, 200), (200, 400)])
def test_body_may_be_nested_two_hundred_deep(call: Client, depth: int, status: int) -> None:
    inner = "[" * depth + "]" * depth
    body = f'{{"endpointname": "{NAME}", "body": {inner}}}'
    reply = call("POST", "/startexecution", body)
    assert reply.status == status
    if status == 400:
        assert refusal(reply)[1:] == (
            "BodyTooDeep",
            "The body is nested too deep. It may be nested 200 deep at most.",
        )


@pytest.mark.parametrize(("digits", "status"), [(1000, 200), (1001, 400)])
def test_number_may_have_a_thousand_digits(call: Client, digits: int, status: int) -> None:
    body = f'{{"endpointname": "{NAME}", "body": {"9" * digits}}}'
    reply = call("POST", "/startexecution", body)
    assert reply.status == status
    if status == 400:
        assert refusal(reply)[2] == "body: is too large a number: send a smaller one"


@pytest.mark.parametrize(
    ("body", "code", "told"),
    [
        ('{"a": NaN}', "MalformedJson", "NaN is not JSON"),
        ('{"minutes": 1e999}', "InvalidRequest", "minutes: is too large a number"),
        ('{"a": [0, {"b": -1e999}]}', "InvalidRequest", "a[1].b: is too large a number"),
        ('{"a": "\\ud800"}', "InvalidRequest", "a: holds half of a surrogate pair"),
        ('{"\\udfff": 1}', "InvalidRequest", "\\udfff: this name holds half of a surrogate pair"),
        ("[1]", "InvalidBody", "The body is JSON, but no object."),
        ("{", "MalformedJson", "The body is no JSON"),
        ("[" * 100_000, "BodyTooDeep", "nested too deep"),
    ],
)
def test_body_that_cannot_be_carried_is_refused_for_what_is_wrong(
    call: Client, body: str, code: str, told: str
) -> None:
    status, found, sentence = refusal(call("POST", "/endpoint-expiry", body))
    assert (status, found) == (400, code)
    assert told in sentence


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/json", 200),
        ("Application/JSON; charset=utf-8", 200),
        ("application/x-www-form-urlencoded", 200),
        ("", 200),
        ("text/plain", 415),
    ],
)
def test_body_is_read_as_json_unless_it_says_that_it_is_none(
    call: Client, kind: str, status: int
) -> None:
    headers = {"Content-Type": kind}
    body = {"EndpointName": NAME, "minutes": 5}
    assert call("POST", "/endpoint-expiry", body, headers=headers).status == status


def test_body_with_half_a_character_names_the_field_that_holds_it(call: Client) -> None:
    reply = call("POST", "/endpoint-expiry", '{"EndpointName": "\ud800", "minutes": 5}')
    assert refusal(reply)[:2] == (400, "InvalidRequest")
    assert refusal(reply)[2].startswith("EndpointName: holds half of a surrogate pair")


HOSTILE_NAMES = ["", "\x00", 'a"b', "name\n", "x" * 64, "x" * 3000, "-a", "a b", "\u0661",
                 "x\" --days 1'; touch PWNED; echo '", "$(shell touch PWNED)"]  # fmt: skip


@pytest.mark.parametrize("scopes", ["read renew add manage invoke", "read:x renew:x manage:x"])
@pytest.mark.parametrize("name", HOSTILE_NAMES, ids=range(len(HOSTILE_NAMES)))
def test_what_is_no_name_is_400_wherever_an_endpoint_is_named(
    call: Client, name: str, scopes: str
) -> None:
    """The error must not advise calls and commands with it."""
    asked = 0
    for operation in api.OPERATIONS:
        field, route = operation.names_endpoint, operation.route
        named = {field: name}
        body = {"EndpointConfigName": "c", "minutes": 5, "body": 1}
        sent: list[tuple[object, dict[str, str] | None]] = []
        if field in operation.query:
            sent.append((body if route.takes_body else None, named))
        if route.takes_body and route.path != "/describeexecution":
            sent.append(({**body, **named}, None))
        for document, query in sent:
            scoped = f"{scopes} invoke:x"
            reply = call(route.method, route.path, document, query=query, scopes=scoped)
            status, code, sentence = refusal(reply)
            assert (status, code) == (400, "InvalidField"), route
            assert sentence.startswith(f"{field}: must be 1 to 63 letters"), route
            asked += 1
    assert asked == 11


@pytest.mark.parametrize("limit", ["1_0", "1.0", "\uff11\uff10", " 10", "+10", "10\n", "1e1", ""])
@pytest.mark.parametrize("path", ["/endpoint-expiry", "/endpoint-events"])
def test_number_of_a_query_is_written_in_digits(call: Client, path: str, limit: str) -> None:
    query = {"limit": limit, **({"EndpointName": NAME} if "events" in path else {})}
    assert refusal(call("GET", path, query=query)) == (
        400,
        "InvalidRequest",
        "limit: must be a whole number, such as 100",
    )


@pytest.mark.parametrize(
    ("until", "told"),
    [
        ("2026-03-02T09:30:00Z\x00", "write an instant with its time zone"),
        ("2026-03-02T09:30:00Z\n", "write an instant with its time zone"),
        ("\uff12\uff10\uff12\uff16-03-02T09:30:00Z", "write an instant with its time zone"),
        ("2026-W10-1T09:30:00Z", "write an instant with its time zone"),
        ("2026-03-02x09:30:00Z", "write an instant with its time zone"),
        ("2026-03-02T09:30:00", "write an instant with its time zone"),
        ("2026-02-30T09:30:00Z", "is no instant of the calendar: day is out of range for month"),
        ("9999-12-31T23:59:59-23:59", "lies, in UTC, outside the years 1 to 9999"),
        ("0001-01-01T00:00:00+14:00", "lies, in UTC, outside the years 1 to 9999"),
    ],
)
def test_instant_that_cannot_be_read_is_refused_for_what_is_wrong(
    call: Client, until: str, told: str
) -> None:
    body = {"EndpointName": NAME, "until": until}
    status, code, sentence = refusal(call("POST", "/endpoint-expiry", body))
    assert (status, code) == (400, "InvalidField")
    assert sentence.startswith(f"until: {told}")


def test_instant_may_be_written_in_small_letters(call: Client) -> None:
    body = {"EndpointName": NAME, "until": "2026-03-02t09:30:00.25z"}
    assert call("POST", "/endpoint-expiry", body).status == 200


def test_event_names_the_schedules_that_were_set(call: Client, world: World) -> None:
    world.endpoints.configs.add("cfg")
    world.add("mine", "cfg", 60)
    window = {"start_time": "09:00", "stop_time": "17:00", "days": ["mon"]}
    two = [{**window, "name": "a"}, {**window, "name": "b"}]
    assert (
        call("PUT", "/endpoint-schedule", {"EndpointName": "mine", "schedule": two}).status == 200
    )
    world.advance(seconds=1)
    assert call("DELETE", "/endpoint-schedule", query={"EndpointName": "mine"}).status == 200
    told = [e.reason for e in world.history.newest("mine", 9) if e.kind == "schedules set"]
    assert told == ["schedules: none", "schedules: a, b"]


@pytest.mark.parametrize("character", ["\0", "\n", "\x1b", "\x9b", "\u2028", "\u202e"], ids=ascii)
def test_a_control_character_in_the_name_of_a_schedule_is_refused(
    call: Client, character: str
) -> None:
    window = {"start_time": "09:00", "stop_time": "17:00", "days": ["mon"]}
    named = [{**window, "name": "夜 👩‍💻"}, {**window, "name": f"a{character}b"}]
    reply = call("PUT", "/endpoint-schedule", {"EndpointName": NAME, "schedule": named})
    assert refusal(reply)[:2] == (400, "InvalidField")
    told = f"schedule[1].name: its character 2 is the control character U+{ord(character):04X}"
    assert refusal(reply)[2].startswith(told)
    assert Schedule.parse(named[1]).name, "what is stored already stays readable"


def test_body_in_base64_is_read_as_text(call: Client) -> None:
    text = json.dumps({"EndpointName": NAME, "minutes": 5}).encode()
    sent = {"body": base64.b64encode(text).decode(), "isBase64Encoded": True}
    assert call("POST", "/endpoint-expiry", sent=sent).status == 200
    binary = {"body": base64.b64encode(b"\xff").decode(), "isBase64Encoded": True}
    assert refusal(call("POST", "/endpoint-expiry", sent=binary))[:2] == (400, "MalformedJson")
    nothing = {"body": None, "isBase64Encoded": True}
    assert refusal(call("POST", "/endpoint-expiry", sent=nothing))[:2] == (400, "MalformedJson")


# --- scopes and parameters --------------------------------------------------------------------


def test_scope_has_to_cover_every_endpoint_that_the_request_names(call: Client) -> None:
    scopes = f"read:{NAME} manage:{NAME}"
    other = {"queryStringParameters": {"EndpointName": "demo-Flan"}}
    alone = call("GET", "/endpoint-expiry", scopes=scopes, sent=other)
    assert refusal(alone)[:2] == (403, "ScopeMissing")
    body = {"EndpointName": "demo-Flan", "schedule": []}
    elsewhere = call("PUT", "/endpoint-schedule", body, query={"EndpointName": NAME}, scopes=scopes)
    assert refusal(elsewhere)[:2] == (403, "ScopeMissing")
    own = call("GET", "/endpoint-expiry", query={"EndpointName": NAME}, scopes=scopes)
    assert own.status == 200


def test_parameter_that_is_sent_twice_is_refused(call: Client) -> None:
    two = {"multiValueQueryStringParameters": {"limit": ["1", "2"]}}
    reply = call("GET", "/endpoint-expiry", query={"limit": "1"}, sent=two)
    assert refusal(reply) == (400, "InvalidRequest", "limit: give it once")


def test_list_of_a_token_for_some_endpoints_has_pages_of_those(call: Client) -> None:
    scopes = "read:demo-falcon read:demo-flan read:other"

    def names(**query: str) -> tuple[list[str], str | None]:
        reply = call("GET", "/endpoint-expiry", query=query, scopes=scopes)
        return [each["EndpointName"] for each in reply.document], reply.headers.get("X-Next")

    assert names() == ([NAME, "demo-Flan"], None)
    assert names(limit="1") == ([NAME], "demo-falcon")
    assert names(limit="2") == ([NAME, "demo-Flan"], "demo-flan")
    assert names(limit="2", next="demo-falcon") == (["demo-Flan"], None)
    wrong = call("GET", "/endpoint-expiry", query={"next": "else"}, scopes=scopes)
    assert refusal(wrong)[2].startswith("next: ")


# --- asynchronous calls -----------------------------------------------------------------------


def test_execution_is_started_for_the_token_under_a_key_of_its_own(
    call: Client, calls: FakeCalls, world: World
) -> None:
    body = {"endpointname": NAME, "body": {"x": 1}}
    first = call("POST", "/startexecution", body, identity="i9")
    call("POST", "/startexecution", body, identity="i9")
    keyed = {"Idempotency-Key": "k"}
    call("POST", "/startexecution", body, headers=keyed, identity="i9")

    assert (first.status, first.document) == (200, {"executionArn": "arn:1", "startDate": 1.5})
    given = [(*noted[:3], noted[4]) for noted in calls.noted]
    assert given == [(NAME, {"x": 1}, "i9", world.now)] * 3
    unkeyed, again, under_key = (noted[3] for noted in calls.noted)
    assert unkeyed != again
    assert under_key == unique_of("k") != unkeyed


def test_execution_is_described_for_the_token(call: Client, calls: FakeCalls) -> None:
    reply = call("POST", "/describeexecution", {"executionArn": "arn:1"}, identity="i9")

    assert (reply.status, reply.document["status"]) == (200, "RUNNING")
    assert reply.headers["Content-Type"] == "application/json"
    assert calls.noted == [("arn:1", "i9")]


# --- wiring -----------------------------------------------------------------------------------


def test_use_cases_have_the_limits_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = ApiSettings(
        state_table="state",
        history_table="history",
        history_days=90,
        starts_queue_url="starts",
        work_queue_url="work",
        stack_tag="demo",
        max_lease_minutes=600,
        token_requests_per_minute=20,
        async_state_machine_arn="arn:machine",
        async_results_bucket="bucket",
        cors_origin="https://example.com",
        adoptable='["team-*"]',
        addable_configs='["cfg-*"]',
        max_added_endpoints=5,
        max_added_per_token_per_day=3,
    )
    environment = {
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        **settings.to_environment(),
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    caches = (
        request_context.settings,
        request_context.adapters,
        request_context.rates,
        request_context.headers_of_answers,
        expiry.use_cases,
        expiry.sessions,
        schedule.use_cases,
        events.use_cases,
        updates.use_cases,
        executions._calls,
    )
    for cached in caches:
        cached.cache_clear()
    try:
        team = NamePatterns(("team-*",))
        meter = expiry.use_cases()
        assert meter.limits == Limits(team, NamePatterns(("cfg-*",)), 5, 3)
        assert meter.max_lease_minutes == 600
        assert expiry.sessions().adoptable == team
        adapters = request_context.adapters()
        for made in (meter, schedule.use_cases(), events.use_cases(), updates.use_cases()):
            assert made.store is adapters.store
            assert made.hints is adapters.hints
            assert made.history is adapters.history
            assert made.endpoints is adapters.endpoints
        assert executions._calls().state_machine_arn == "arn:machine"
        assert "https://bucket" in executions._calls().results.link("ann-1")
        headers = request_context.headers_of_answers()
        assert headers["Access-Control-Allow-Origin"] == "https://example.com"
        for cached in caches:
            assert cached() is cached(), "made once"
    finally:
        for cached in caches:
            cached.cache_clear()


# --- headers ----------------------------------------------------------------------------------

EVENT = {
    "headers": {"X-A": "2", "Other": "1"},
    "multiValueHeaders": {"x-A": ["1", "2"], "Other": ["1"]},
}


def test_headers_are_found_in_any_case_with_all_values() -> None:
    assert values_of(EVENT, "x-a") == ["1", "2"]
    assert values_of({"headers": {"X-A": "2"}, "multiValueHeaders": None}, "x-a") == ["2"]
    assert values_of({"multiValueHeaders": {"x-a": None}}, "x-a") == []
    assert values_of({}, "x-a") == []


def test_header_is_taken_out_or_replaced_wherever_it_stands() -> None:
    others = {"headers": {"Other": "1"}, "multiValueHeaders": {"Other": ["1"]}}

    assert without_header(EVENT, "x-a") == others
    assert without_header({}, "x-a") == {"headers": {}, "multiValueHeaders": {}}
    assert with_header(EVENT, "x-a", "3") == {
        "headers": {"Other": "1", "x-a": "3"},
        "multiValueHeaders": {"Other": ["1"], "x-a": ["3"]},
    }


def test_answer_gets_the_headers_that_it_does_not_have() -> None:
    reply = {
        "statusCode": 200,
        "headers": {"cache-control": "max-age=1"},
        "multiValueHeaders": {"X-b": ["1"]},
    }

    added = answered_with(reply, {"Cache-Control": "no-store", "X-B": "2", "X-C": "3"})

    assert added == {**reply, "headers": {"cache-control": "max-age=1", "X-C": "3"}}
    assert answered_with({"statusCode": 200}, {"X-C": "3"})["headers"] == {"X-C": "3"}


def test_message_of_an_aws_service_is_for_the_log_only() -> None:
    answer = answer_to(AwsRefused("Secret", "of AWS"), "r-1", changes=True)
    assert answer["statusCode"] == 502
    assert "of AWS" not in answer["body"]


def test_faults_are_told_by_the_path_of_the_field() -> None:
    assert api._path(("body", "schedule", 0, "name")) == "schedule[0].name"
    assert api._path(("query", "limit")) == "limit"
    assert api._path(("body",)) == "body"


def test_caller_without_a_name_is_unknown_and_known_by_it() -> None:
    who = caller_of({"requestContext": {"authorizer": {"scopes": "read"}}})

    assert who is not None
    assert (who.name, who.identity, str(who.scopes)) == ("unknown", "unknown", "read")
    assert caller_of({"requestContext": {}}) is None


def test_event_with_a_body_in_base64_stays_the_same_otherwise() -> None:
    event = {"body": "e30=", "isBase64Encoded": True, "path": "/x"}

    assert with_text_body(event) == {"body": "{}", "isBase64Encoded": False, "path": "/x"}
    assert with_text_body({"body": "{}"}) == {"body": "{}"}
