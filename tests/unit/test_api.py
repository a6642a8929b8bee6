"""The REST API, event in, answer out: every bad input gets a 4xx with a clear JSON error."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openapi_spec_validator import validate

from lambdas.core.answer_headers import answer_headers
from lambdas.core.errors import AwsDenied, AwsRefused, Busy, Throttled, Unanswered
from lambdas.core.routes import ROUTES, route
from lambdas.handlers import api
from lambdas.handlers.operations import Operation
from lambdas.handlers.routes import events, expiry, health, schedule
from tests.fakes import a_spec, clock
from tests.json_schemas import unbounded
from tests.unit.api_client import API, Client, FakeRates
from tests.world import World

ALL = "read renew add manage invoke"
SCHEDULE = {"name": "w", "start_time": "09:00", "stop_time": "17:00", "days": ["mon"]}


@pytest.fixture
def world() -> World:
    world = World()
    world.deploy(a_spec("demo-Falcon40B-Endpoint"), a_spec("demo-FlanT5-Endpoint", "flan-1"))
    world.endpoints.configs.add("jumpstart-example-model-inpainting-cfg")
    return world


@pytest.fixture
def rates(monkeypatch: pytest.MonkeyPatch) -> FakeRates:
    rates = FakeRates()
    monkeypatch.setattr(api, "rates", lambda: rates)
    monkeypatch.setattr(api, "headers_of_answers", lambda: answer_headers(""))
    return rates


@pytest.fixture
def call(world: World, rates: FakeRates, monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setattr(expiry, "use_cases", lambda: world.expiry)
    monkeypatch.setattr(expiry, "sessions", lambda: world.sessions)
    monkeypatch.setattr(schedule, "use_cases", lambda: world.schedules)
    monkeypatch.setattr(events, "use_cases", lambda: world.events)
    monkeypatch.setattr(health, "adapters", lambda: world.expiry)
    for module in (expiry, schedule, events, health):
        if hasattr(module, "utc_now"):
            monkeypatch.setattr(module, "utc_now", lambda: world.now)
    return Client(world)


FALCON = "demo-Falcon40B-Endpoint"
TAKEN = {"EndpointConfigName": "falcon-1"}


def test_renewal_answer_has_the_fields_of_the_original_and_ours(call: Client) -> None:
    reply = call("POST", "/endpoint-expiry", {"EndpointName": FALCON, "minutes": 10})
    assert reply.status == 200
    assert reply.document == {
        "EndpointName": FALCON,
        "EndpointExpiry": "02-03-2026-09-10-00",
        "EndpointExpiry ": "02-03-2026-09-10-00",
        "TimeLeft": "0:10:00",
        "ExpiresAt": "2026-03-02T09:10:00Z",
        "Expires": "at",
        "SecondsLeft": 600.0,
        "LeaseExpiresAt": "2026-03-02T09:10:00Z",
        "Sessions": 0,
        "Wanted": "running",
        "Status": "Absent",
        "NextTransition": "2026-03-02T09:10:00Z",
        "EndpointConfigName": "falcon-1",
        "ServedConfigName": None,
        "Reason": "the lease is paid until 2026-03-02T09:10:00Z",
        "Owner": "config",
        "AsyncApi": False,
    }


def test_session_is_paid_and_ended_alone(call: Client) -> None:
    call("POST", "/endpoint-expiry", {"EndpointName": FALCON, "minutes": 5})
    session = {"EndpointName": FALCON, "session": "job-1"}
    paid = call("POST", "/endpoint-expiry", {**session, "minutes": 15})
    assert (paid.status, paid.document["Sessions"]) == (200, 1)
    assert paid.document["LeaseExpiresAt"] == "2026-03-02T09:15:00Z"
    ended = call("DELETE", "/endpoint-expiry", query=session)
    assert (ended.status, ended.document["Sessions"]) == (200, 0)
    assert ended.document["LeaseExpiresAt"] == "2026-03-02T09:05:00Z"


def test_renewal_without_an_end_is_told_both_ways_to_give_one(call: Client) -> None:
    reply = call("POST", "/endpoint-expiry", {"EndpointName": FALCON})
    assert "minutes: is needed" in reply.document["error"]
    assert "or give `until`, an instant" in reply.document["error"]
    reply = call("POST", "/endpoint-expiry", {"EndpointName": FALCON, "session": "job-1"})
    assert "until" not in reply.document["error"]


@pytest.mark.parametrize("body", [{"minutes": 43_201}, {"until": "2029-01-01T00:00:00Z"}])
def test_lease_that_is_too_long_is_told_by_its_latest_end(
    call: Client, body: dict[str, Any]
) -> None:
    reply = call("POST", "/endpoint-expiry", {"EndpointName": FALCON, **body})
    assert (reply.status, reply.document["code"]) == (422, "LeaseTooLong")
    assert reply.document["error"].startswith(
        "A lease may end 43200 minutes from now at the latest"
    )


@pytest.mark.parametrize("until", ["2026-03-02T10:00:00Z", "2026-03-02T21:00:00.9+11:00"])
def test_lease_is_paid_until_an_instant(call: Client, until: str) -> None:
    reply = call("POST", "/endpoint-expiry", {"EndpointName": FALCON, "until": until})
    assert (reply.status, reply.document["LeaseExpiresAt"]) == (200, "2026-03-02T10:00:00Z")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "minutes"),
        ({"session": "job-1"}, "minutes"),
        ({"session": "job-1", "minutes": 16}, "minutes"),
        ({"session": "job/1", "minutes": 5}, "session"),
        ({"session": "job-1", "minutes": 5, "EndpointConfigName": "cfg"}, "EndpointConfigName"),
        ({"session": "job-1", "minutes": 5, "adopt": True}, "adopt"),
        ({"session": "job-1", "until": "2026-03-02T10:00:00Z"}, "until"),
        ({"until": "2026-03-02T10:00:00Z", "minutes": 5}, "minutes"),
        ({"until": "2026-03-02T10:00:00Z", "EndpointConfigName": "cfg"}, "EndpointConfigName"),
        ({"until": "2026-03-02T10:00:00"}, "until"),
        ({"until": "tomorrow"}, "until"),
        ({"until": "0001-01-01T00:00:00+14:00"}, "until"),
        ({"until": "2026-03-02T08:59:59Z"}, "until"),
    ],
)
def test_renewal_whose_fields_do_not_fit_names_the_field(
    call: Client, fields: dict[str, object], field: str
) -> None:
    reply = call("POST", "/endpoint-expiry", {"EndpointName": FALCON, **fields})
    assert (reply.status, reply.document["error"].partition(":")[0]) == (400, field)
    assert call.world.get(FALCON)["Wanted"] == "stopped"


def test_session_and_forget_do_not_go_together(call: Client) -> None:
    query = {"EndpointName": FALCON, "session": "job-1", "forget": "true"}
    assert call("DELETE", "/endpoint-expiry", query=query).document["error"].startswith("forget:")


def test_one_endpoint_or_all_are_listed(call: Client) -> None:
    one = call("GET", "/endpoint-expiry", query={"EndpointName": FALCON})
    assert (one.status, one.document["TimeLeft"]) == (200, "0:00:00")
    every = call("GET", "/endpoint-expiry")
    assert [entry["EndpointName"] for entry in every.document] == [FALCON, "demo-FlanT5-Endpoint"]


def test_list_is_paged_where_a_limit_is_given(call: Client) -> None:
    first = call("GET", "/endpoint-expiry", query={"limit": "1"})
    token = first.headers["X-Next"]
    second = call("GET", "/endpoint-expiry", query={"limit": "1", "next": token})
    assert second.document[0]["EndpointName"] == "demo-FlanT5-Endpoint"
    assert "X-Next" not in second.headers


def test_page_token_that_a_token_for_one_endpoint_made_up_is_refused(call: Client) -> None:
    scopes = f"read:{FALCON} read:demo-FlanT5-Endpoint"
    first = call("GET", "/endpoint-expiry", query={"limit": "1"}, scopes=scopes)
    query = {"limit": "1", "next": first.headers["X-Next"]}
    assert call("GET", "/endpoint-expiry", query=query, scopes=scopes).status == 200
    for made_up in ("[" * 5000, "demo-other", "\x00"):
        query = {"limit": "1", "next": made_up}
        reply = call("GET", "/endpoint-expiry", query=query, scopes=scopes)
        assert (reply.status, reply.document["code"]) == (400, "InvalidField")


def test_endpoint_names_are_found_in_any_case(call: Client) -> None:
    reply = call("GET", "/endpoint-expiry", query={"EndpointName": FALCON.upper()})
    assert reply.document["EndpointName"] == FALCON


def test_add_then_renew_then_forget(call: Client) -> None:
    body = {
        "EndpointName": "test-inpainting-Endpoint",
        "EndpointConfigName": "jumpstart-example-model-inpainting-cfg",
        "minutes": 30,
    }
    added = call("POST", "/endpoint-expiry", body)
    assert (added.status, added.document["TimeLeft"]) == (201, "0:30:00")
    assert call("POST", "/endpoint-expiry", body).status == 200
    query = {"EndpointName": "test-inpainting-Endpoint", "forget": "true"}
    assert call("DELETE", "/endpoint-expiry", query=query).status == 200
    assert call("DELETE", "/endpoint-expiry", query=query).status == 404


def test_stop_answers_with_no_time_left(call: Client) -> None:
    call("POST", "/endpoint-expiry", {"EndpointName": FALCON, "minutes": 10})
    reply = call("DELETE", "/endpoint-expiry", query={"EndpointName": FALCON})
    assert (reply.document["TimeLeft"], reply.document["Wanted"]) == ("0:00:00", "stopped")


def test_idempotency_key_makes_a_retry_safe_whatever_its_case(call: Client) -> None:
    body = {"EndpointName": FALCON, "minutes": 10}
    first = call("POST", "/endpoint-expiry", body, headers={"Idempotency-Key": "k"})
    again = call("POST", "/endpoint-expiry", body, headers={"idempotency-key": "k"})
    assert again.text == first.text
    other = call(
        "POST", "/endpoint-expiry", {**body, "minutes": 9}, headers={"Idempotency-Key": "k"}
    )
    assert (other.status, other.document["code"]) == (422, "IdempotencyConflict")


def test_tokens_of_one_name_do_not_share_idempotency_keys(call: Client) -> None:
    body, key = {"EndpointName": FALCON, "minutes": 10}, {"Idempotency-Key": "k"}
    call("POST", "/endpoint-expiry", body, headers=key, identity="a1")
    call.world.advance(seconds=1)
    other = call("POST", "/endpoint-expiry", body, headers=key, identity="b2")
    assert other.document["LeaseExpiresAt"] == "2026-03-02T09:20:00Z"
    again = call("POST", "/endpoint-expiry", body, headers=key, identity="b2")
    assert again.text == other.text
    history = call("GET", "/endpoint-events", query={"EndpointName": FALCON}).document
    assert [e["Actor"] for e in history if e["Event"] == "renewed"] == ["ann", "ann"]


def test_schedules_of_an_added_endpoint_can_be_set_and_removed(call: Client) -> None:
    cfg = "jumpstart-example-model-inpainting-cfg"
    call("POST", "/endpoint-expiry", {"EndpointName": "x", "EndpointConfigName": cfg, "minutes": 1})
    put = call("PUT", "/endpoint-schedule", {"EndpointName": "x", "schedule": [SCHEDULE]})
    assert put.document["schedule"] == [{**SCHEDULE, "timezone": "UTC"}]
    assert call("DELETE", "/endpoint-schedule", query={"EndpointName": "x"}).status == 200
    read = call("GET", "/endpoint-schedule", query={"EndpointName": "x"})
    assert read.document == {"EndpointName": "x", "schedule": [], "warnings": [], "Owner": "api"}


def test_schedule_that_can_never_open_is_accepted_with_a_warning(call: Client) -> None:
    cfg = "jumpstart-example-model-inpainting-cfg"
    call("POST", "/endpoint-expiry", {"EndpointName": "x", "EndpointConfigName": cfg, "minutes": 1})
    times = {"start_time": "09:00", "stop_time": "10:00"}
    over = {"name": "over", "date": "01/03/2026", **times}
    left_out = {"name": "left out", "date": "05/03/2027", "except_dates": ["05/03/2027"], **times}
    skipped = {
        "name": "skipped",
        "date": "28/03/2027",
        "start_time": "02:10",
        "stop_time": "02:50",
        "timezone": "Europe/Berlin",
    }
    sent = {"EndpointName": "x", "schedule": [SCHEDULE, over, left_out, skipped]}
    put = call("PUT", "/endpoint-schedule", sent)
    assert put.status == 200
    assert put.document["warnings"] == [
        "schedule 'over' never opens: 01/03/2026 is in the past.",
        "schedule 'left out' never opens: 05/03/2027 is one of its except_dates.",
        "schedule 'skipped' never opens: 28/03/2027 has no such time: the clocks skip it.",
    ]


def test_schedules_of_the_config_are_read_only(call: Client) -> None:
    reply = call("PUT", "/endpoint-schedule", {"EndpointName": FALCON, "schedule": []})
    assert (reply.status, reply.document["code"]) == (409, "ConfigOwned")


def test_code_of_an_endpoint_of_somebody_else_differs_from_that_of_a_taken_name(
    call: Client, world: World
) -> None:
    world.endpoints.run_by_hand(FALCON, "their-cfg")
    paid = {"EndpointName": FALCON, "minutes": 5}
    for body in (paid, {**paid, "session": "job"}, {**paid, "EndpointConfigName": "their-cfg"}):
        reply = call("POST", "/endpoint-expiry", body)
        assert (reply.status, reply.document["code"]) == (409, "NotOurs")
    reply = call("POST", "/endpoint-expiry", {**paid, "EndpointName": FALCON.upper(), **TAKEN})
    assert (reply.status, reply.document["code"]) == (409, "NameTaken")


def test_bad_schedule_names_its_field(call: Client) -> None:
    bad = {**SCHEDULE, "start_time": "9"}
    reply = call("PUT", "/endpoint-schedule", {"EndpointName": FALCON, "schedule": [SCHEDULE, bad]})
    assert reply.status == 400
    assert reply.document["error"].startswith("schedule[1].start_time: must be a time")


def test_events_are_newest_first(call: Client) -> None:
    call("POST", "/endpoint-expiry", {"EndpointName": FALCON, "minutes": 10})
    reply = call("GET", "/endpoint-events", query={"EndpointName": FALCON})
    entry = next(event for event in reply.document if event["Event"] == "renewed")
    assert entry == {
        "EndpointName": FALCON,
        "At": "2026-03-02T09:00:00Z",
        "Event": "renewed",
        "Reason": "10 minutes",
        "Actor": "ann",
    }


def test_health_shows_the_last_beats_and_is_503_when_they_are_late(
    call: Client, world: World
) -> None:
    assert call("GET", "/health", scopes="").document["status"] == "ok"
    world.advance(minutes=2)
    reply = call("GET", "/health", scopes="")
    assert (reply.status, reply.document["lastTick"]) == (200, "2026-03-02T09:02:00Z")
    world.now += 10 * (clock(1) - clock(0)) / 60
    late = call("GET", "/health", scopes="")
    assert (late.status, late.document["late"]) == (503, ["tick", "reconcile"])


def test_api_answers_exactly_the_listed_routes() -> None:
    answered = {operation.route for operation in api.OPERATIONS}
    assert answered | {route("GET", "/openapi.json")} == set(ROUTES)
    assert len(api.OPERATIONS) + 1 == len(ROUTES), "no route is answered twice"


def test_openapi_describes_every_route(call: Client) -> None:
    document = call("GET", "/openapi.json").document
    assert document["openapi"].startswith("3.")
    described = {
        (method.upper(), path) for path, item in document["paths"].items() for method in item
    }
    assert described == {(each.route.method, each.route.path) for each in api.OPERATIONS}
    validate(document)


def test_every_number_of_a_request_has_a_finite_range() -> None:
    requests = {
        name: schema for name, schema in API["components"]["schemas"].items() if "Request" in name
    }
    parameters = [
        operation.get("parameters", [])
        for item in API["paths"].values()
        for operation in item.values()
    ]
    assert list(unbounded(requests)) == []
    assert list(unbounded(parameters)) == []


def test_number_that_is_infinite_in_python_is_refused(call: Client) -> None:
    body = f'{{"EndpointName": "{FALCON}", "DesiredWeightsAndCapacities": [{{"VariantName": "A", '
    reply = call("POST", "/endpoint-weights", body + '"DesiredWeight": 1e999}]}')
    assert (reply.status, reply.document["code"]) == (400, "InvalidRequest")
    weight = "DesiredWeightsAndCapacities[0].DesiredWeight"
    assert reply.document["error"].startswith(f"{weight}: is too large a number")


@pytest.mark.parametrize(
    "operation", api.OPERATIONS, ids=lambda each: each.route.method + each.route.path
)
def test_openapi_says_what_the_api_checks(operation: Operation) -> None:
    documented = API["paths"][operation.route.path][operation.route.method.lower()]
    parameters = documented.get("parameters", [])
    assert [p["name"] for p in parameters if p["in"] == "query"] == list(operation.query)
    assert ("requestBody" in documented) == operation.route.takes_body
    assert [p["name"] for p in parameters if p["in"] == "header"] == (
        ["Idempotency-Key"] if operation.keyed else []
    )
    assert (documented.get("security") == []) == (operation.route.scope is None)
    assert (f"scope `{operation.route.scope}`," in documented["description"]) == (
        operation.route.scope is not None
    )
    assert {"429", "500", "502", "503", "504"} <= set(documented["responses"])
    assert (
        ("401" in documented["responses"])
        == ("403" in documented["responses"])
        == bool(operation.route.scope)
    )


def test_openapi_describes_the_token_the_stage_and_the_page_token(call: Client) -> None:
    document = call("GET", "/openapi.json").document
    assert [server["url"] for server in document["servers"]] == ["/prod"]
    scheme = document["components"]["securitySchemes"]["token"]
    assert (scheme["type"], scheme["in"], scheme["name"]) == ("apiKey", "header", "Authorization")
    listed = document["paths"]["/endpoint-expiry"]["get"]["responses"]["200"]
    assert "X-Next" in listed["headers"]
    assert "ValidationError" not in json.dumps(document)


def test_openapi_on_a_custom_domain_has_no_stage(call: Client) -> None:
    context = {"requestId": "r-1", "stage": "prod", "path": "/meter/openapi.json"}
    document = call("GET", "/openapi.json", sent={"requestContext": context}).document
    assert document["servers"][0]["url"] == "/meter"


POST_BODIES: list[Any] = [
    "",
    "{",
    "null",
    "[]",
    '"x"',
    "{}",
    f'{{"EndpointName": "{FALCON}"}}',
    f'{{"EndpointName": "{FALCON}", "minutes": NaN}}',
    f'{{"EndpointName": "{FALCON}", "minutes": Infinity}}',
    f'{{"EndpointName": "{FALCON}", "minutes": 1e400}}',
    "[" * 100_000,
    '{"a":' * 50_000,
    {"EndpointName": FALCON, "minutes": 0},
    {"EndpointName": FALCON, "minutes": -5},
    {"EndpointName": FALCON, "minutes": 1.5},
    {"EndpointName": FALCON, "minutes": "10"},
    {"EndpointName": FALCON, "minutes": True},
    {"EndpointName": FALCON, "minutes": None},
    {"EndpointName": FALCON, "minutes": [1]},
    {"EndpointName": FALCON, "minutes": 1_000_000_000},
    {"EndpointName": FALCON, "minutes": 10**400},
    {"EndpointName": FALCON, "minutes": 43_201},
    {"EndpointName": FALCON, "Minutes": 10, "minutes": 1},
    {"EndpointName": 7, "minutes": 10},
    {"EndpointName": None, "minutes": 10},
    {"EndpointName": "", "minutes": 10},
    {"EndpointName": "nobody", "minutes": 10},
    {"EndpointName": "../../etc/passwd", "minutes": 10},
    {"EndpointName": "-x", "minutes": 10},
    {"EndpointName": "x" * 64, "minutes": 10},
    {"EndpointName": "naïve", "minutes": 10},
    {"EndpointName": "a\u0000b", "minutes": 10},
    {"EndpointName": "💥", "minutes": 10},
    {"EndpointName": "x", "EndpointConfigName": "no such", "minutes": 10},
    {"EndpointName": "x", "EndpointConfigName": "", "minutes": 10},
    {"EndpointName": "x", "EndpointConfigName": 5, "minutes": 10},
    {"EndpointName": "x", "EndpointConfigName": "missing-config", "minutes": 10},
    {"EndpointName": FALCON, "EndpointConfigName": "other", "minutes": 10},
    {"EndpointName": FALCON.lower(), "EndpointConfigName": "falcon-1", "minutes": 10},
    {"EndpointName": "x", "EndpointConfigName": "c", "minutes": 10, "adopt": "yes"},
    {"EndpointName": "x", "EndpointConfigName": "c", "minutes": 10, "async_api": "yes"},
    {"EndpointName": "x", "EndpointConfigName": "c", "minutes": 10, "async_api": None},
    {"EndpointName": FALCON, "minutes": 10, "async_api": True},
    {"EndpointName": "x", "minutes": 10, "padding": "p" * 200_000},
]


@pytest.mark.parametrize("body", POST_BODIES, ids=range(len(POST_BODIES)))
def test_bad_renewals_get_a_clear_4xx_and_change_nothing(
    call: Client, world: World, body: object
) -> None:
    before = dict(world.store.records)
    reply = call("POST", "/endpoint-expiry", body)
    assert 400 <= reply.status < 500, reply.text
    assert set(reply.document) == {"error", "code", "requestId"}
    assert reply.document["code"][0].isupper()
    assert "Traceback" not in reply.text
    assert world.store.records == before


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"EndpointName": "nobody", "minutes": 10}, 404),
        ({"EndpointName": FALCON, "minutes": 43_201}, 422),
        ({"EndpointName": "x", "EndpointConfigName": "missing-config", "minutes": 1}, 422),
        ({"EndpointName": FALCON, "EndpointConfigName": "other", "minutes": 1}, 409),
        ({"EndpointName": FALCON.upper(), "EndpointConfigName": "falcon-1", "minutes": 1}, 409),
        ({"EndpointName": FALCON, "minutes": True}, 400),
        ("{", 400),
        ({"EndpointName": "x", "minutes": 10, "padding": "p" * 200_000}, 413),
    ],
)
def test_errors_carry_the_right_status(call: Client, body: object, status: int) -> None:
    assert call("POST", "/endpoint-expiry", body).status == status


@pytest.mark.parametrize("letter", ["p", "ü"])
def test_body_may_have_exactly_the_most_bytes(call: Client, letter: str) -> None:
    body = json.dumps({"EndpointName": FALCON, "minutes": 10, "padding": "-"}, ensure_ascii=False)
    room = 128_000 - len(body) + 1
    padding = letter * (room // len(letter.encode()))
    padding += "-" * (room - len(padding.encode()))
    largest = body.replace('"-"', f'"{padding}"')
    assert len(largest.encode()) == 128_000
    assert call("POST", "/endpoint-expiry", largest).status == 400, "`padding` is unknown"
    too_large = call("POST", "/endpoint-expiry", f"{largest} ")
    assert (too_large.status, too_large.document["code"]) == (413, "BodyTooLarge")


def test_other_content_types_are_415(call: Client) -> None:
    headers = {"content-type": "text/csv", "Content-Type": "text/csv"}
    assert call("POST", "/endpoint-expiry", "a,b", headers=headers).status == 415


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PUT", "/endpoint-expiry", "GET, POST, DELETE"),
        ("PATCH", "/endpoint-expiry", "GET, POST, DELETE"),
        ("POST", "/endpoint-events", "GET"),
        ("POST", "/health", "GET"),
        ("DELETE", "/openapi.json", "GET"),
    ],
)
def test_unknown_methods_are_405_with_allow(
    call: Client, method: str, path: str, allow: str
) -> None:
    reply = call(method, path)
    assert (reply.status, reply.headers["Allow"]) == (405, allow)
    assert reply.document["code"] == "MethodNotAllowed"


def test_unknown_paths_are_404(call: Client) -> None:
    assert call("GET", "/nothing").document["code"] == "RouteNotFound"


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "0"},
        {"limit": "-1"},
        {"limit": "1001"},
        {"limit": "x"},
        {"EndpointName": ""},
    ],
)
def test_bad_queries_are_4xx(call: Client, query: dict[str, str]) -> None:
    assert call("GET", "/endpoint-expiry", query=query).status == 400


@pytest.mark.parametrize("key", ["", "x" * 256, "tab\there"])
def test_unusable_idempotency_keys_are_400(call: Client, key: str) -> None:
    body = {"EndpointName": FALCON, "minutes": 10}
    reply = call("POST", "/endpoint-expiry", body, headers={"Idempotency-Key": key})
    assert (reply.status, reply.document["code"]) == (400, "InvalidField")


@pytest.mark.parametrize(
    ("method", "path", "body", "query", "scopes"),
    [
        ("GET", "/endpoint-expiry", None, None, "renew invoke"),
        ("POST", "/endpoint-expiry", {"EndpointName": FALCON, "minutes": 1}, None, "read"),
        ("DELETE", "/endpoint-expiry", None, {"EndpointName": FALCON}, "read"),
        ("PUT", "/endpoint-schedule", {"EndpointName": "x", "schedule": []}, None, "read renew"),
        ("GET", "/endpoint-events", None, {"EndpointName": FALCON}, ""),
    ],
)
def test_missing_scope_is_403(
    call: Client,
    method: str,
    path: str,
    body: object,
    query: dict[str, str] | None,
    scopes: str,
) -> None:
    reply = call(method, path, body, query=query, scopes=scopes)
    assert (reply.status, reply.document["code"]) == (403, "ScopeMissing")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Unanswered("ReadTimeoutError", "secret host"), 504),
        (AwsRefused("InternalServerError", "secret host"), 502),
        (Busy(), 503),
        (RuntimeError("secret host"), 500),
    ],
)
def test_error_details_of_aws_are_never_shown(
    call: Client, world: World, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int
) -> None:
    def fail(*_args: object) -> None:
        raise error

    monkeypatch.setattr(world.store, "renew", fail)
    reply = call("POST", "/endpoint-expiry", {"EndpointName": FALCON, "minutes": 1})
    assert reply.status == status
    assert "secret" not in reply.text


def test_posts_are_503_during_a_drain(call: Client, world: World) -> None:
    world.deploys.drain(60)
    reply = call("POST", "/endpoint-expiry", {"EndpointName": FALCON, "minutes": 1})
    assert (reply.status, reply.document["code"]) == (503, "Draining")
    assert reply.headers["Retry-After"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    body=json_values
    | st.fixed_dictionaries(
        {"EndpointName": st.just(FALCON) | json_values, "minutes": json_values},
        optional={
            "EndpointConfigName": json_values,
            "adopt": json_values,
            "async_api": json_values,
        },
    )
)
def test_no_request_body_causes_a_5xx(call: Client, body: object) -> None:
    assert call("POST", "/endpoint-expiry", body).status < 500


@pytest.mark.parametrize(
    ("query", "body", "status"),
    [
        ({"EndpointName": "x"}, {"schedule": []}, 200),
        ({"EndpointName": "x"}, {"EndpointName": "x", "schedule": []}, 200),
        ({"EndpointName": "x"}, {"EndpointName": "y", "schedule": []}, 400),
        (None, {"schedule": []}, 400),
        (None, {"EndpointName": "x"}, 400),
        (None, {"EndpointName": "x", "schedule": {}}, 400),
    ],
)
def test_schedule_names_one_endpoint_in_the_query_or_in_the_body(
    call: Client, query: dict[str, str] | None, body: object, status: int
) -> None:
    cfg = "jumpstart-example-model-inpainting-cfg"
    call("POST", "/endpoint-expiry", {"EndpointName": "x", "EndpointConfigName": cfg, "minutes": 1})
    assert call("PUT", "/endpoint-schedule", body, query=query).status == status


@pytest.mark.parametrize(
    "kind",
    [
        "application/x-www-form-urlencoded",
        "Application/JSON",
        "APPLICATION/JSON; charset=utf-8",
        "application/json;charset=utf-8",
        "",
    ],
)
@pytest.mark.parametrize("header", ["Content-Type", "content-type", "CONTENT-TYPE"])
def test_body_is_read_as_json_under_the_content_types_of_common_clients(
    call: Client, header: str, kind: str
) -> None:
    sent = {"headers": {header: kind}, "multiValueHeaders": {header: [kind]}}
    body = {"EndpointName": FALCON, "minutes": 5}
    reply = call("POST", "/endpoint-expiry", body, sent=sent)
    assert (reply.status, reply.document["TimeLeft"]) == (200, "0:05:00"), reply.text


@pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data", "nonsense", "application"])
@pytest.mark.parametrize("body", [None, "", "{}", '{"EndpointName": "x", "minutes": 1}'])
def test_other_media_types_are_415_whatever_the_body(
    call: Client, kind: str, body: str | None
) -> None:
    assert call("POST", "/endpoint-expiry", body, headers={"Content-Type": kind}).status == 415


@pytest.mark.parametrize("body", [None, "", " "])
def test_missing_body_is_400(call: Client, body: str | None) -> None:
    assert call("POST", "/endpoint-expiry", body).document["code"] == "MalformedJson"


def test_misspelt_parameters_are_refused_and_the_nearest_one_suggested(call: Client) -> None:
    call("POST", "/endpoint-expiry", {"EndpointName": FALCON, "minutes": 10})
    query = {"EndpointName": FALCON, "Forget": "true"}
    reply = call("DELETE", "/endpoint-expiry", query=query)
    assert (reply.status, reply.document["code"]) == (400, "UnknownParameter")
    assert reply.document["error"] == "Forget: unknown parameter; did you mean 'forget'?"
    assert call("GET", "/endpoint-expiry", query={"EndpointName": FALCON}).document["TimeLeft"]
    odd = call("GET", "/endpoint-events", query={"EndpointName": FALCON, "zzz": "1"})
    assert odd.document["error"].endswith("this call takes EndpointName, limit")
    assert call("GET", "/health", query={"deep": "1"}).status == 400


def test_repeated_parameters_are_refused(call: Client) -> None:
    several = {"EndpointName": [FALCON, "demo-FlanT5-Endpoint"]}
    reply = call(
        "DELETE",
        "/endpoint-expiry",
        query={"EndpointName": FALCON},
        sent={"multiValueQueryStringParameters": several},
    )
    assert (reply.status, reply.document["error"]) == (400, "EndpointName: give it once")


def test_several_idempotency_keys_are_400(call: Client, world: World) -> None:
    several = {"Idempotency-Key": ["a"], "idempotency-key": ["b"]}
    for headers in ({"Idempotency-Key": ["a", "b"]}, several):
        body = {"EndpointName": FALCON, "minutes": 10}
        reply = call("POST", "/endpoint-expiry", body, sent={"multiValueHeaders": headers})
        assert (reply.status, reply.document["error"]) == (400, "Idempotency-Key: send it once")
    assert world.state(FALCON.casefold()).expires_at is None


FLAN = "demo-FlanT5-Endpoint"


def test_scope_for_one_endpoint_covers_no_other(call: Client) -> None:
    def renewed(name: str, scopes: str) -> SimpleNamespace:
        return call("POST", "/endpoint-expiry", {"EndpointName": name, "minutes": 5}, scopes=scopes)

    assert renewed(FLAN.upper(), f"renew:{FLAN}").status == 200
    refused = renewed(FALCON, f"read renew:{FLAN}")
    assert (refused.status, refused.document["code"]) == (403, "ScopeMissing")
    assert (
        refused.document["error"]
        == f"This token lacks the scope 'renew' for the endpoint '{FALCON}'. Whoever runs the "
        "stack can hand out one that has it: make token ARGS='create --name NAME --scopes "
        f"renew:{FALCON} --days 30'."
    )
    assert renewed("unknown", f"renew:{FLAN}").status == 403, (
        "and does not reveal whether it exists"
    )
    assert (
        call("GET", "/endpoint-expiry", query={"EndpointName": FALCON}).document["Wanted"]
        == "stopped"
    )


@pytest.mark.parametrize(
    ("method", "path", "scope", "body"),
    [
        ("GET", "/endpoint-expiry", "read", None),
        ("DELETE", "/endpoint-expiry", "renew", None),
        ("GET", "/endpoint-schedule", "read", None),
        ("PUT", "/endpoint-schedule", "manage", {"schedule": []}),
        ("DELETE", "/endpoint-schedule", "manage", None),
        ("GET", "/endpoint-events", "read", None),
    ],
)
def test_every_call_needs_the_scope_for_its_endpoint(
    call: Client, method: str, path: str, scope: str, body: object
) -> None:
    mine, other = {"EndpointName": FLAN}, {"EndpointName": FALCON}
    scopes = f"{scope}:{FLAN}"
    assert call(method, path, body, query=mine, scopes=scopes).status in {200, 409}
    assert call(method, path, body, query=other, scopes=scopes).status == 403


def test_every_answer_has_the_security_headers_and_cors_only_when_configured(
    call: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for origin in ("", "https://app.example.com"):
        monkeypatch.setattr(
            api, "headers_of_answers", lambda allowed=origin: answer_headers(allowed)
        )
        for method, path in (("GET", "/endpoint-expiry"), ("PATCH", "/health"), ("GET", "/no")):
            sent = call(method, path).headers
            assert answer_headers(origin).items() <= sent.items()
            assert ("Access-Control-Allow-Origin" in sent) == bool(origin)


@pytest.mark.parametrize("depth", [*range(190, 210), 500, *range(930, 1000, 5), 5_000, 60_000])
def test_deeply_nested_bodies_are_400(call: Client, depth: int) -> None:
    inner = "[" * (depth - 1) + "]" * (depth - 1)
    reply = call("POST", "/endpoint-expiry", f'{{"EndpointName": {inner}}}')
    assert reply.status == 400
    assert (reply.document["code"] == "BodyTooDeep") == (depth > 200)


def test_a_number_of_too_many_digits_is_refused_in_words_for_the_caller(call: Client) -> None:
    reply = call("POST", "/endpoint-expiry", f'{{"minutes": {"9" * 5_000}}}')

    assert (reply.status, reply.document["code"]) == (400, "InvalidRequest")
    assert reply.document["error"].startswith("minutes: is too large a number")


def test_two_tokens_in_one_request_are_401(call: Client) -> None:
    sent = {"multiValueHeaders": {"Authorization": ["a"], "authorization": ["b"]}}
    reply = call("GET", "/endpoint-expiry", sent=sent)
    assert (reply.status, reply.document["code"]) == (401, "Unauthorized")


def test_naming_two_endpoints_does_not_bypass_the_scope(call: Client) -> None:
    for query, body in ((FLAN, FALCON), (FALCON, FLAN)):
        sent = {"EndpointName": body, "schedule": []}
        reply = call(
            "PUT",
            "/endpoint-schedule",
            sent,
            query={"EndpointName": query},
            scopes=f"manage:{FLAN}",
        )
        assert reply.status == 403


def test_list_shows_what_the_token_may_read(call: Client) -> None:
    def listed(scopes: str, **query: str) -> SimpleNamespace:
        return call("GET", "/endpoint-expiry", query=query, scopes=scopes)

    def names(reply: SimpleNamespace) -> list[str]:
        return [document["EndpointName"] for document in reply.document]

    assert names(listed(f"read:{FLAN} renew")) == [FLAN]
    assert names(listed(f"read:{FLAN} read")) == [FALCON, FLAN]
    assert names(listed("read:unknown")) == []
    both = f"read:{FLAN} read:{FALCON}"
    first = listed(both, limit="1")
    second = listed(both, limit="1", next=first.headers["X-Next"])
    assert (names(first), names(second)) == ([FALCON], [FLAN])
    assert "X-Next" not in second.headers


@pytest.mark.parametrize("body", ["{", "[]", None, {"minutes": "x"}])
def test_missing_scope_is_403_whatever_the_body(call: Client, body: object) -> None:
    assert call("POST", "/endpoint-expiry", body, scopes="read").status == 403


def test_events_of_a_forgotten_endpoint_have_its_name_in_lower_case(call: Client) -> None:
    cfg = "jumpstart-example-model-inpainting-cfg"
    added = {"EndpointName": "Mine", "EndpointConfigName": cfg, "minutes": 1}
    call("POST", "/endpoint-expiry", added)
    shown = call("GET", "/endpoint-events", query={"EndpointName": "mine"}).document
    assert {event["EndpointName"] for event in shown} == {"Mine"}
    call("DELETE", "/endpoint-expiry", query={"EndpointName": "mine", "forget": "true"})
    left = call("GET", "/endpoint-events", query={"EndpointName": "Mine"}).document
    assert {event["EndpointName"] for event in left} == {"mine"}


@pytest.mark.parametrize(
    ("error", "expected", "unexpected"),
    [
        (Unanswered("ReadTimeoutError", ""), "may or may not have happened", "again in a moment"),
        (Unanswered("ReadTimeoutError", ""), "same Idempotency-Key", "nothing"),
        (AwsDenied("AccessDeniedException", ""), "permission", "in a moment"),
        (AwsRefused("ValidationException", ""), "log has the reason", "in a moment"),
        (Throttled("ThrottlingException", ""), "Try again after Retry-After", "may or may not"),
    ],
)
def test_failures_say_what_is_known_and_what_to_do(
    call: Client,
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    expected: str,
    unexpected: str,
) -> None:

    def fail(*_args: object) -> None:
        raise error

    monkeypatch.setattr(world.store, "renew", fail)
    reply = call("POST", "/endpoint-expiry", {"EndpointName": FALCON, "minutes": 1})
    assert expected in reply.document["error"]
    assert unexpected not in reply.document["error"]


def test_read_without_an_answer_is_504_and_does_not_say_that_it_may_have_happened(
    call: Client, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: object) -> None:
        raise Unanswered("ReadTimeoutError", "")

    monkeypatch.setattr(world.store, "list", fail)
    reply = call("GET", "/endpoint-expiry")
    assert (reply.status, "may or may not" in reply.document["error"]) == (504, False)


def test_request_over_the_rate_limit_is_429_and_changes_nothing(
    call: Client, world: World, rates: FakeRates
) -> None:
    rates.wait = 17
    reply = call("POST", "/endpoint-expiry", {"EndpointName": FALCON, "minutes": 1}, identity="t")
    assert (reply.status, reply.headers["Retry-After"]) == (429, "17")
    assert reply.document["code"] == "TooManyRequests"
    assert rates.identities == ["t"]
    assert world.state(FALCON.casefold()).expires_at is None


def test_failing_rate_counter_does_not_fail_the_request(call: Client, rates: FakeRates) -> None:
    rates.wait = Unanswered("ReadTimeoutError", "")
    assert call("GET", "/endpoint-expiry").status == 200


def test_requests_without_a_token_are_not_counted(call: Client, rates: FakeRates) -> None:
    for path in ("/health", "/openapi.json"):
        context = {"requestId": "r-1", "stage": "prod", "path": f"/prod{path}"}
        assert call("GET", path, sent={"requestContext": context}).status == 200
    assert rates.identities == []
