"""Updates of running endpoints: by hand, by a deploy, and by a deploy that is rolled back. A served
config is never deleted, no call fails, and nothing else is blocked.

docs/decisions/0015 and 0057 say how.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.calls import FLAN, get, renew
from tests.e2e.checkout import Checkout, until
from tests.e2e.model_callers import Callers, Follower

BOSTON = "demo-Boston-Endpoint"
LINEAR, XGB = "Linear-Model", "XGB-Model"
BY_HAND = "boston-linear"


def declared(checkout: Checkout, *, one_model: bool = False) -> dict[str, Any]:
    """The shipped config and an endpoint with two models that share its traffic four to one. With
    `one_model`, that endpoint has only one model, and FLAN-T5 has a larger instance."""
    example = json.loads((checkout.folder / "configs/examples/variants.json").read_text())
    (boston,) = example["jumpstart_models"]
    boston["integration"] = {"type": "api", "properties": {"api_resource_name": "boston"}}
    for variant in boston["variants"]:
        for scaled in ("autoscaling", "managed_instance_scaling"):
            variant.pop(scaled, None)
    config = checkout.config()
    config["jumpstart_models"].append(boston)
    if one_model:
        del boston["variants"][1]
        config["jumpstart_models"][1]["inference_instance_type"] = "ml.g5.24xlarge"
    return config


@pytest.fixture(scope="module")
def running(checkout: Checkout) -> Iterator[Checkout]:
    """FLAN-T5 and the endpoint with two models are in service."""
    checkout.up(CONFIG=checkout.write_config(declared(checkout)))
    for name in (FLAN, BOSTON):
        assert renew(checkout, name, 120).status_code == 200
    for name in (FLAN, BOSTON):
        until(lambda name=name: get(checkout, name)["Status"] == "InService", 60)  # type: ignore[misc]
    yield checkout
    checkout.clear_faults()
    with checkout.api() as api:
        for name in (FLAN, BOSTON):
            api.delete("/endpoint-expiry", params={"EndpointName": name}).raise_for_status()
    for name in (FLAN, BOSTON):
        until(lambda name=name: checkout.status(name) == "Absent", 60)  # type: ignore[misc]
    checkout.client("sagemaker").delete_endpoint_config(EndpointConfigName=BY_HAND)
    checkout.up()


def apply(checkout: Checkout, config: dict[str, Any]) -> tuple[int, str]:
    done = checkout.run("local.up", CONFIG=checkout.write_config(config))
    return done.returncode, done.stdout + done.stderr


def configs(checkout: Checkout) -> set[str]:
    found = checkout.client("sagemaker").list_endpoint_configs(MaxResults=100)["EndpointConfigs"]
    return {config["EndpointConfigName"] for config in found}


def by_hand(checkout: Checkout, route: str, **body: Any) -> dict[str, Any]:
    """Make a change as an administrator; it must be accepted."""
    with checkout.api(checkout.stack["admin_token"]) as api:
        answer = api.post(route, json={"EndpointName": BOSTON, **body})
    assert answer.status_code == 202, answer.text
    document: dict[str, Any] = answer.json()
    return document


def events(checkout: Checkout, name: str) -> list[str]:
    """The events of the endpoint, newest first."""
    with checkout.api() as api:
        answer = api.get("/endpoint-events", params={"EndpointName": name}).raise_for_status()
    return [event["Event"] for event in answer.json()]


def test_weights_and_config_are_set_by_hand_without_a_failed_call(running: Checkout) -> None:
    sagemaker = running.client("sagemaker")
    served = get(running, BOSTON)["ServedConfigName"]
    whole = sagemaker.describe_endpoint_config(EndpointConfigName=served)
    sagemaker.create_endpoint_config(
        EndpointConfigName=BY_HAND, ProductionVariants=whole["ProductionVariants"][:1]
    )
    with Callers(running, "/boston") as callers:
        callers.make(20)
        assert callers.shares() == {LINEAR: 0.8, XGB: 0.2}
        desired = [
            {"VariantName": LINEAR, "DesiredWeight": 1},
            {"VariantName": XGB, "DesiredWeight": 3},
        ]
        by_hand(running, "/endpoint-weights", DesiredWeightsAndCapacities=desired)
        until(lambda: "weights asked" in events(running, BOSTON))
        until(lambda: weight(running, XGB) == 3, 30)
        callers.make(20)
        assert callers.shares()[XGB] == pytest.approx(0.75, abs=0.06)
        updated = by_hand(running, "/endpoint-update", EndpointConfigName=BY_HAND)
        assert updated["EndpointConfigName"] == BY_HAND
        until(lambda: get(running, BOSTON)["ServedConfigName"] == BY_HAND, 30)
        callers.make(10)
        assert callers.shares() == {LINEAR: 1.0}
        by_hand(running, "/endpoint-update", EndpointConfigName=served)
        until(lambda: get(running, BOSTON)["ServedConfigName"] == served, 30)
    assert callers.failures == []


def weight(checkout: Checkout, variant: str) -> float | None:
    live = checkout.client("sagemaker").describe_endpoint(EndpointName=BOSTON)
    if live["EndpointStatus"] != "InService":
        return None
    weights = {each["VariantName"]: each["CurrentWeight"] for each in live["ProductionVariants"]}
    return float(weights[variant])


def test_a_deploy_updates_running_endpoints_without_a_failed_call_and_keeps_their_leases(
    running: Checkout,
) -> None:
    before = {name: get(running, name) for name in (FLAN, BOSTON)}
    with Callers(running, "/boston") as callers, Follower(running, (FLAN, BOSTON)) as follower:
        callers.make(20)
        assert callers.shares()[XGB] == pytest.approx(0.2, abs=0.06)
        code, output = apply(running, declared(running, one_model=True))
        assert code == 0, output
        callers.make(20)
        assert callers.shares() == {LINEAR: 1.0}
    assert callers.failures == []
    assert callers.total > 100, "calls were made during the whole deploy"
    for name in (FLAN, BOSTON):
        old, new = before[name], get(running, name)
        assert follower.seen[name] == [
            ("InService", old["ServedConfigName"]),
            ("Updating", old["ServedConfigName"]),
            ("InService", new["EndpointConfigName"]),
        ]
        assert new["LeaseExpiresAt"] == old["LeaseExpiresAt"]
        assert old["ServedConfigName"] not in configs(running), (
            "deleted, because nothing serves it any more"
        )
        assert len(running.calls("CreateEndpoint", name)) == len(follower.created[name])


def test_a_rolled_back_update_fails_each_apply_but_no_plan_and_keeps_the_served_config(
    running: Checkout,
) -> None:
    served = get(running, FLAN)["ServedConfigName"]
    lease = get(running, FLAN)["LeaseExpiresAt"]
    config = declared(running, one_model=True)
    config["jumpstart_models"][1]["inference_instance_type"] = "ml.g5.48xlarge"
    running.fault("UpdateEndpoint", "Rollback", endpoint=FLAN)
    updates = len(running.calls("UpdateEndpoint", FLAN))

    code, output = apply(running, config)
    assert code != 0
    assert f"{FLAN}: InService on {served}" in output, output
    assert "was rolled back: Request to service failed" in output, output
    assert served in configs(running), "still served"
    assert "rolled back" in events(running, FLAN)
    with running.api() as api:
        answer = api.post("/flan", json={"inputs": "still there?"})
    assert answer.status_code == 200, answer.text

    code, output = apply(running, config)
    assert code != 0, "the same deploy fails again"
    assert served in configs(running)

    planned = running.terraform("plan", "-no-color")
    assert planned.returncode == 0, "the plan does not fail"

    code, _ = apply(running, {**config, "history_days": 91})
    assert code != 0
    function = running.client("lambda").get_function_configuration(FunctionName="demo-api")
    assert function["Environment"]["Variables"]["HISTORY_DAYS"] == "91", (
        "everything else was applied"
    )
    assert served in configs(running)
    assert get(running, FLAN)["ServedConfigName"] == served
    assert get(running, FLAN)["LeaseExpiresAt"] == lease
    assert len(running.calls("UpdateEndpoint", FLAN)) == updates + 1, "not tried again by itself"


def test_reverting_the_change_repairs_the_deploy_and_the_next_plan_is_empty(
    running: Checkout,
) -> None:
    served = get(running, FLAN)["ServedConfigName"]
    code, output = apply(running, declared(running, one_model=True))
    assert code == 0, output
    assert served in configs(running)
    assert len(configs(running)) == 4, "the config that nobody serves is gone"
    planned = running.terraform("plan", "-detailed-exitcode", "-no-color")
    assert planned.returncode == 0, planned.stdout


def test_a_foreign_endpoint_does_not_block_unrelated_changes(
    running: Checkout,
) -> None:
    with running.api() as api:
        api.delete("/endpoint-expiry", params={"EndpointName": FLAN}).raise_for_status()
    until(lambda: running.status(FLAN) == "Absent", 60)
    sagemaker = running.client("sagemaker")
    other = next(name for name in configs(running) if "Falcon" in name)
    sagemaker.create_endpoint(EndpointName=FLAN, EndpointConfigName=other)
    until(lambda: running.status(FLAN) == "InService", 60)
    assert running.terraform("plan", "-no-color").returncode == 0
    code, output = apply(running, {**declared(running, one_model=True), "history_days": 92})
    assert code == 0, output
    sagemaker.delete_endpoint(EndpointName=FLAN)
    until(lambda: running.status(FLAN) == "Absent", 60)
