"""/endpoint-update and /endpoint-weights: event in, answer out."""

from __future__ import annotations

from typing import Any

import pytest

from lambdas.core.answer_headers import answer_headers
from lambdas.core.rollout import Variant
from lambdas.core.state import Status
from lambdas.handlers import api
from lambdas.handlers.routes import expiry, updates
from tests.fakes import a_spec
from tests.unit.api_client import Client, FakeRates
from tests.update_limits import LIMITS, Violation
from tests.world import World

FALCON = "demo-Falcon40B-Endpoint"
UPDATE, WEIGHTS = "/endpoint-update", "/endpoint-weights"
TO_TWO = {"EndpointName": FALCON, "EndpointConfigName": "falcon-2"}
WEIGH = {
    "EndpointName": FALCON,
    "DesiredWeightsAndCapacities": [{"VariantName": "A", "DesiredWeight": 4}],
}


@pytest.fixture
def world() -> World:
    world = World()
    world.deploy(a_spec(FALCON, "falcon-1"))
    world.endpoints.configs.add("falcon-2")
    world.endpoints.variants["falcon-1"] = (Variant("A", 4), Variant("B", 4))
    world.renew(FALCON, 60)
    world.advance(seconds=30)
    return world


@pytest.fixture
def call(world: World, monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setattr(api, "rates", FakeRates)
    monkeypatch.setattr(api, "headers_of_answers", lambda: answer_headers(""))
    monkeypatch.setattr(updates, "use_cases", lambda: world.updates)
    monkeypatch.setattr(expiry, "use_cases", lambda: world.expiry)
    for module in (updates, expiry):
        monkeypatch.setattr(module, "utc_now", lambda: world.now)
    return Client(world)


def test_update_is_accepted_and_begun(call: Client, world: World) -> None:
    options = {
        "RetainAllVariantProperties": False,
        "DeploymentConfig": {
            "BlueGreenUpdatePolicy": {
                "TrafficRoutingConfiguration": {
                    "Type": "ALL_AT_ONCE",
                    "WaitIntervalInSeconds": 60,
                }
            }
        },
    }
    reply = call("POST", UPDATE, {**TO_TWO, **options})
    assert reply.status == 202
    assert reply.document["EndpointConfigName"] == "falcon-2"
    assert reply.document["Reason"] == (
        "it serves falcon-1, and the move to falcon-2 is still to come"
    )
    assert world.status(FALCON) is Status.UPDATING
    assert world.endpoints.options[FALCON.lower()] == options
    world.advance(seconds=30)
    shown = call("GET", "/endpoint-expiry", query={"EndpointName": FALCON}).document
    assert (shown["ServedConfigName"], shown["Status"]) == ("falcon-2", "InService")


def test_weights_are_accepted_and_set(call: Client, world: World) -> None:
    assert call("POST", WEIGHTS, WEIGH).status == 202
    assert world.endpoints.weights[FALCON.lower()] == WEIGH["DesiredWeightsAndCapacities"]


def test_an_idempotency_key_makes_each_route_safe_to_repeat(call: Client, world: World) -> None:
    headers = {"Idempotency-Key": "k"}
    first = call("POST", WEIGHTS, WEIGH, headers=headers)
    assert call("POST", WEIGHTS, WEIGH, headers=headers).text == first.text
    world.advance(seconds=30)
    assert world.endpoints.made("reweigh", FALCON) == 1
    updated = call("POST", UPDATE, TO_TWO, headers=headers)
    assert updated.status == 202, "a key belongs to a route"
    assert call("POST", UPDATE, TO_TWO, headers=headers).text == updated.text
    other = {**TO_TWO, "RetainAllVariantProperties": False}
    assert call("POST", UPDATE, other, headers=headers).status == 422


def test_order_of_the_fields_makes_no_other_request_of_a_repetition(call: Client) -> None:
    headers = {"Idempotency-Key": "k"}
    weight = {"VariantName": "A", "DesiredWeight": 4, "DesiredInstanceCount": 2}
    turned = dict(reversed(weight.items()))
    first = call(
        "POST", WEIGHTS, {**WEIGH, "DesiredWeightsAndCapacities": [weight]}, headers=headers
    )
    again = call(
        "POST", WEIGHTS, {**WEIGH, "DesiredWeightsAndCapacities": [turned]}, headers=headers
    )
    assert (again.status, again.text) == (202, first.text)


@pytest.mark.parametrize("path", [UPDATE, WEIGHTS])
def test_both_routes_need_the_scope_manage(call: Client, path: str) -> None:
    body = TO_TWO if path == UPDATE else WEIGH
    assert call("POST", path, body, scopes="read renew invoke").status == 403
    assert call("POST", path, body, scopes="manage:demo-FlanT5-Endpoint").status == 403
    assert call("POST", path, body, scopes=f"manage:{FALCON}").status == 202
    assert call("GET", path).status == 405


@pytest.mark.parametrize(
    ("path", "body", "status", "sentence"),
    [
        (UPDATE, {**TO_TWO, "EndpointName": "nobody"}, 404, "No endpoint named 'nobody'"),
        (UPDATE, {**TO_TWO, "EndpointConfigName": "none"}, 422, "no endpoint config named 'none'"),
        (UPDATE, {"EndpointName": FALCON}, 400, "EndpointConfigName: Field required"),
        (UPDATE, {**TO_TWO, "EndpointConfigName": "a b"}, 400, "EndpointConfigName: must be"),
        (UPDATE, {**TO_TWO, "EndpointConfigName": 3}, 400, "EndpointConfigName: Input should be"),
        (
            UPDATE,
            {**TO_TWO, "RetainDeploymentConfg": True},
            400,
            "RetainDeploymentConfg: unknown key; did you mean 'RetainDeploymentConfig'?",
        ),
        (
            UPDATE,
            {**TO_TWO, "RetainAllVariantProperties": None},
            400,
            "RetainAllVariantProperties: must be true or false, not null",
        ),
        (
            UPDATE,
            {**TO_TWO, "RetainAllVariantProperties": True},
            400,
            "must stay the same where their properties are retained: the endpoint serves A, B",
        ),
        (
            UPDATE,
            {**TO_TWO, "DeploymentConfig": {"RollingUpdatePolicy": {}}},
            400,
            (
                "DeploymentConfig.RollingUpdatePolicy.MaximumBatchSize: is required; "
                "DeploymentConfig.RollingUpdatePolicy.WaitIntervalInSeconds: is required"
            ),
        ),
        (WEIGHTS, {**WEIGH, "EndpointName": "nobody"}, 404, "No endpoint named 'nobody'"),
        (
            WEIGHTS,
            {**WEIGH, "DesiredWeightsAndCapacities": [{"VariantName": "C", "DesiredWeight": 1}]},
            400,
            "the endpoint serves no variant 'C'; it serves A, B",
        ),
        (WEIGHTS, {**WEIGH, "DesiredWeightsAndCapacities": {}}, 400, "must be an array"),
        (WEIGHTS, {"EndpointName": FALCON}, 400, "DesiredWeightsAndCapacities: Field required"),
        (WEIGHTS, {**WEIGH, "Weight": 1}, 400, "Weight: Extra inputs are not permitted"),
    ],
)
def test_wrong_requests_are_refused_with_a_reason(
    call: Client, path: str, body: dict[str, Any], status: int, sentence: str
) -> None:
    reply = call("POST", path, body)
    assert reply.status == status
    assert sentence in reply.document["error"]


@pytest.mark.parametrize("violation", LIMITS.values(), ids=LIMITS)
def test_error_for_a_violated_limit_of_updates_names_the_limit(
    call: Client, world: World, violation: Violation
) -> None:
    world.endpoints.variants["falcon-2"] = violation.variants
    reply = call("POST", UPDATE, {**TO_TWO, **violation.options})
    assert (reply.status, reply.document["code"]) == (400, "InvalidField")
    assert violation.said in reply.document["error"]
    assert world.endpoints.made("update", FALCON) == 0


@pytest.mark.parametrize("field", ["EndpointName", "EndpointConfigName"])
@pytest.mark.parametrize("name", ["", "a_b", "-a", "a-", "a b", "x" * 64])
def test_names_outside_the_limits_are_refused(call: Client, field: str, name: str) -> None:
    reply = call("POST", UPDATE, {**TO_TWO, field: name})
    assert reply.status == 400
    assert reply.document["error"].startswith(f"{field}: ")
    assert "63" in reply.document["error"]


def test_weights_of_an_endpoint_that_does_not_run_are_refused(call: Client, world: World) -> None:
    world.stop(FALCON)
    world.advance(seconds=30)
    reply = call("POST", WEIGHTS, WEIGH)
    assert (reply.status, reply.document["code"]) == (409, "NotInService")
