"""The REST API through the gateway, on the real functions, tables, queues and the simulator."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.e2e.calls import FALCON, FLAN, get, renew, tags_of
from tests.e2e.checkout import Checkout, until


def test_list_shows_the_endpoints_of_the_config(checkout: Checkout) -> None:
    with checkout.api() as api:
        documents = api.get("/endpoint-expiry").raise_for_status().json()
    assert {document["EndpointName"] for document in documents} >= {FALCON, FLAN}


def test_calls_without_a_token_are_401_and_with_a_wrong_one_403(checkout: Checkout) -> None:
    for token, status, code in (("", 401, "Unauthorized"), ("wrong", 403, "Forbidden")):
        with checkout.api(token) as api:
            for method in ("GET", "POST", "DELETE"):
                answer = api.request(method, "/endpoint-expiry")
                assert (answer.status_code, answer.json()["code"]) == (status, code)
                assert set(answer.json()) == {"error", "code", "requestId"}


def test_health_and_openapi_need_no_token(checkout: Checkout) -> None:
    with checkout.api("") as api:
        assert api.get("/health").json()["status"] == "ok"
        assert api.get("/openapi.json").json()["info"]["title"] == "SageMaker Endpoint Manager"


def test_renewal_starts_an_absent_endpoint_within_three_seconds(idle: Checkout) -> None:
    before = len(idle.calls("CreateEndpoint", FALCON))
    began = datetime.now(UTC)
    answer = renew(idle, FALCON, 10)
    assert (answer.status_code, answer.json()["Wanted"]) == (200, "running")
    calls = until(lambda: idle.calls("CreateEndpoint", FALCON)[before:], 5)
    assert datetime.fromisoformat(calls[0]["time"]) - began < timedelta(seconds=3)
    until(lambda: get(idle, FALCON)["Status"] == "InService")
    assert len(idle.calls("CreateEndpoint", FALCON)) == before + 1


def test_expiring_lease_deletes_within_three_seconds_of_the_second(idle: Checkout) -> None:
    before = len(idle.calls("DeleteEndpoint", FLAN))
    end = datetime.fromisoformat(renew(idle, FLAN, 1).json()["ExpiresAt"])
    time.sleep(max((end - datetime.now(UTC)).total_seconds() - 2, 0))
    assert idle.status(FLAN) == "InService"
    calls = until(lambda: idle.calls("DeleteEndpoint", FLAN)[before:], 10)
    late = datetime.fromisoformat(calls[0]["time"]) - end
    assert timedelta() <= late < timedelta(seconds=3)


def test_sixty_concurrent_renewals_add_exactly_sixty_minutes(idle: Checkout) -> None:
    first = datetime.fromisoformat(renew(idle, FLAN, 1).json()["ExpiresAt"])
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: renew(idle, FLAN, 1), range(60)))
    assert {answer.status_code for answer in answers} == {200}
    end = datetime.fromisoformat(get(idle, FLAN)["ExpiresAt"])
    assert end - first == timedelta(minutes=60)
    assert len({answer.json()["ExpiresAt"] for answer in answers}) == 60


def test_retry_with_the_idempotency_key_gets_the_lost_reply(idle: Checkout) -> None:
    first = renew(idle, FLAN, 7, **{"Idempotency-Key": "lost"})
    time.sleep(1)
    again = renew(idle, FLAN, 7, **{"Idempotency-Key": "lost"})
    assert again.text == first.text
    assert get(idle, FLAN)["ExpiresAt"] == first.json()["ExpiresAt"]
    assert renew(idle, FLAN, 8, **{"Idempotency-Key": "lost"}).status_code == 422


def test_endpoint_is_added_renewed_stopped_and_forgotten(idle: Checkout) -> None:
    config = get(idle, FALCON)["EndpointConfigName"]
    name = "test-inpainting-Endpoint"
    body = {"EndpointName": name, "EndpointConfigName": config, "minutes": 30}
    with idle.api() as api:
        added = api.post("/endpoint-expiry", json=body)
        assert added.status_code == 201
        assert added.json()["TimeLeft"] in ("0:30:00", *re.findall(r"0:29:59\.\d+", added.text))
        until(lambda: idle.status(name) == "InService")
        assert api.post("/endpoint-expiry", json=body).status_code == 200
        uppercase = {**body, "EndpointName": name.upper()}
        assert api.post("/endpoint-expiry", json=uppercase).status_code == 409
        query = {"EndpointName": name, "forget": "true"}
        assert api.delete("/endpoint-expiry", params=query).status_code == 200
        until(lambda: idle.status(name) == "Absent")
        assert api.get("/endpoint-expiry", params={"EndpointName": name}).status_code == 404
        kinds = [
            event["Event"]
            for event in api.get("/endpoint-events", params={"EndpointName": name}).json()
        ]
    assert {"added", "create", "InService", "forgotten", "delete"} <= set(kinds)


STACK_TAG = "endpoint-meter:stack"


@pytest.fixture
def stranger(idle: Checkout) -> Iterator[tuple[str, str]]:
    """Name and config of a live endpoint that was made by hand, without any tag."""
    config = get(idle, FALCON)["EndpointConfigName"]
    sagemaker = idle.client("sagemaker")
    sagemaker.create_endpoint(EndpointName="hand-made", EndpointConfigName=config)
    until(lambda: idle.status("hand-made") == "InService")
    yield "hand-made", config
    if idle.status("hand-made") == "InService":
        sagemaker.delete_endpoint(EndpointName="hand-made")
    until(lambda: idle.status("hand-made") == "Absent")


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"minutes": 50_000, "adopt": True}, 422),
        ({"minutes": 50_000}, 422),
        ({"EndpointConfigName": "no-such-config", "adopt": True}, 409),
        ({}, 409),
        ({"minutes": 0, "adopt": True}, 400),
    ],
    ids=["adopt too long", "too long", "adopt with another config", "not adopted", "no minutes"],
)
def test_refused_add_changes_neither_the_foreign_endpoint_nor_the_list(
    idle: Checkout, stranger: tuple[str, str], change: dict[str, Any], status: int
) -> None:
    name, config = stranger
    body = {"EndpointName": name, "EndpointConfigName": config, "minutes": 5, **change}
    with idle.api(idle.stack["admin_token"]) as api:
        before = api.get("/endpoint-expiry").json()
        assert api.post("/endpoint-expiry", json=body).status_code == status
        time.sleep(3)
        after = api.get("/endpoint-expiry").json()
    assert [each["EndpointName"] for each in after] == [each["EndpointName"] for each in before]
    assert tags_of(idle, name) == {}
    assert idle.status(name) == "InService"


def test_refusal_without_the_scope_to_adopt_reveals_neither_config_nor_owner(
    idle: Checkout, stranger: tuple[str, str]
) -> None:
    name, config = stranger
    body = {"EndpointName": name, "EndpointConfigName": config, "minutes": 5, "adopt": True}
    with idle.api() as api:  # its scopes: read renew add invoke
        answer = api.post("/endpoint-expiry", json=body)
        assert (answer.status_code, answer.json()["code"]) == (403, "ScopeMissing")
        assert config not in answer.text
        other = {**body, "adopt": False, "EndpointConfigName": "other"}
        answer = api.post("/endpoint-expiry", json=other)
        assert (answer.status_code, config in answer.text) == (409, False)
    assert tags_of(idle, name) == {}


def test_live_foreign_endpoint_is_adopted_on_request_and_stopped_when_forgotten(
    idle: Checkout, stranger: tuple[str, str]
) -> None:
    name, config = stranger
    body = {"EndpointName": name, "EndpointConfigName": config, "minutes": 5, "adopt": True}
    with idle.api(idle.stack["admin_token"]) as api:
        answer = api.post("/endpoint-expiry", json=body)
        assert answer.status_code == 201
        assert answer.json()["Status"] == "InService"
        until(lambda: tags_of(idle, name) == {STACK_TAG: "demo-us-east-1/adopted"})
        query = {"EndpointName": name, "forget": "true"}
        api.delete("/endpoint-expiry", params=query).raise_for_status()
    until(lambda: idle.status(name) == "Absent", 30)


def test_endpoint_with_the_ignore_tag_is_not_stopped(idle: Checkout) -> None:
    sagemaker = idle.client("sagemaker")
    renew(idle, FALCON, 30)
    until(lambda: idle.status(FALCON) == "InService")
    arn = sagemaker.describe_endpoint(EndpointName=FALCON)["EndpointArn"]
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "endpoint-meter:ignore", "Value": ""}])
    with idle.api() as api:
        api.delete("/endpoint-expiry", params={"EndpointName": FALCON}).raise_for_status()
    until(lambda: "the meter cannot act" in get(idle, FALCON)["Reason"])
    assert idle.status(FALCON) == "InService"
    sagemaker.delete_tags(ResourceArn=arn, TagKeys=["endpoint-meter:ignore"])
    with idle.api() as api:  # another stop makes the reconciler look at it again
        api.delete("/endpoint-expiry", params={"EndpointName": FALCON}).raise_for_status()
    until(lambda: idle.status(FALCON) == "Absent", 30)


def test_failed_endpoint_is_recreated_and_the_reason_shows(idle: Checkout) -> None:
    before = len(idle.calls("CreateEndpoint", FALCON))
    idle.fault("CreateEndpoint", "Failed", endpoint=FALCON)
    began = time.monotonic()
    renew(idle, FALCON, 30)
    until(lambda: "Failed" in get(idle, FALCON)["Reason"], 20)
    until(lambda: len(idle.calls("CreateEndpoint", FALCON)) >= before + 2, 65)
    assert time.monotonic() - began < 65
    until(lambda: get(idle, FALCON)["Status"] == "InService", 20)
    with idle.api() as api:
        events = api.get("/endpoint-events", params={"EndpointName": FALCON}).json()
    assert any(event["Event"] == "Failed" and event["Reason"] for event in events)


def test_endpoint_deleted_by_hand_comes_back_while_wanted(idle: Checkout) -> None:
    renew(idle, FALCON, 30)
    until(lambda: get(idle, FALCON)["Status"] == "InService")
    idle.client("sagemaker").delete_endpoint(EndpointName=FALCON)
    until(lambda: idle.status(FALCON) == "InService", 30)


@pytest.mark.parametrize(
    "body",
    [
        "{",
        "[]",
        "null",
        '{"EndpointName": "%s"}' % FALCON,  # noqa: UP031 (braces)
        '{"EndpointName": "%s", "minutes": NaN}' % FALCON,  # noqa: UP031
        '{"EndpointName": "%s", "minutes": 0}' % FALCON,  # noqa: UP031
        '{"EndpointName": "%s", "minutes": -1}' % FALCON,  # noqa: UP031
        '{"EndpointName": "%s", "minutes": true}' % FALCON,  # noqa: UP031
        '{"EndpointName": "%s", "minutes": "5"}' % FALCON,  # noqa: UP031
        '{"EndpointName": "%s", "minutes": 1.5}' % FALCON,  # noqa: UP031
        '{"EndpointName": "%s", "minutes": 1000000000}' % FALCON,  # noqa: UP031
        '{"EndpointName": "nobody", "minutes": 5}',
        '{"EndpointName": "../x", "minutes": 5}',
        "[" * 50_000,
    ],
)
def test_bad_renewals_are_4xx_with_a_clear_error(checkout: Checkout, body: str) -> None:
    with checkout.api() as api:
        headers = {"Content-Type": "application/json"}
        answer = api.post("/endpoint-expiry", content=body, headers=headers)
    assert 400 <= answer.status_code < 500
    assert set(answer.json()) == {"error", "code", "requestId"}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("PUT", "/endpoint-expiry", 405),
        ("PATCH", "/endpoint-schedule", 405),
        ("POST", "/endpoint-events", 405),
        ("GET", "/nothing-here", 404),
        ("GET", "/endpoint-expiry/deeper", 404),
    ],
)
def test_unknown_methods_and_paths_are_4xx_json(
    checkout: Checkout, method: str, path: str, status: int
) -> None:
    with checkout.api() as api:
        answer = api.request(method, path)
    assert answer.status_code == status
    assert set(answer.json()) == {"error", "code", "requestId"}


def test_schedules_over_the_api_open_and_close_an_endpoint(idle: Checkout) -> None:
    config = get(idle, FALCON)["EndpointConfigName"]
    now = datetime.now(UTC)
    minute = timedelta(minutes=1)
    opening = {
        "name": "all-day",
        "start_time": f"{now - 5 * minute:%H:%M}",
        "stop_time": f"{now - 5 * minute:%H:%M}",
        "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
    }
    name = "scheduled"
    with idle.api() as api, idle.api(idle.stack["admin_token"]) as admin:
        body = {"EndpointName": name, "EndpointConfigName": config, "minutes": 1}
        assert api.post("/endpoint-expiry", json=body).status_code == 201
        sent = {"EndpointName": name, "schedule": [opening]}
        assert api.put("/endpoint-schedule", json=sent).status_code == 403, "needs manage"
        assert admin.put("/endpoint-schedule", json=sent).status_code == 200
        document = get(idle, name)
        assert (document["Wanted"], document["ExpiresAt"]) == ("running", None)
        until(lambda: idle.status(name) == "InService")
        api.delete("/endpoint-expiry", params={"EndpointName": name}).raise_for_status()
        until(lambda: idle.status(name) == "Absent")
        assert get(idle, name)["Wanted"] == "stopped", "the open window is held"
        query = {"EndpointName": name, "forget": "true"}
        api.delete("/endpoint-expiry", params=query).raise_for_status()


def test_tick_and_heartbeat_come_every_minute(checkout: Checkout) -> None:
    """The scheduler of the embedded AWS calls the tick, and the reconciler answers its canary."""

    def beats() -> dict[str, Any] | None:
        with checkout.api("") as api:
            health: dict[str, Any] = api.get("/health").json()
        return health if health["lastTick"] and health["lastReconcile"] else None

    health = until(beats, 80, every=1)
    assert health["status"] == "ok"
    age = datetime.now(UTC) - datetime.fromisoformat(health["lastTick"])
    assert age < timedelta(seconds=75)
