"""Deploys while the endpoints do not follow: nothing that serves is taken away, nothing else waits.

docs/decisions/0015 says how.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.checkout import Checkout, until
from tests.e2e.test_rest import FLAN, get, renew


@pytest.fixture(scope="module")
def running(checkout: Checkout) -> Iterator[Checkout]:
    """FLAN-T5 is in service on the shipped config."""
    renew(checkout, FLAN, 120)
    until(lambda: get(checkout, FLAN)["Status"] == "InService", 60)
    yield checkout
    checkout.clear_faults()
    with checkout.api() as api:
        api.delete("/endpoint-expiry", params={"EndpointName": FLAN}).raise_for_status()
    until(lambda: checkout.status(FLAN) == "Absent", 60)
    checkout.up()


def apply(checkout: Checkout, config: dict[str, Any]) -> tuple[int, str]:
    done = checkout.run("local.up", CONFIG=checkout.write_config(config))
    return done.returncode, done.stdout + done.stderr


def configs(checkout: Checkout) -> set[str]:
    found = checkout.client("sagemaker").list_endpoint_configs(MaxResults=100)["EndpointConfigs"]
    return {config["EndpointConfigName"] for config in found}


def test_a_rolled_back_update_fails_each_apply_keeps_what_serves_and_blocks_nothing_else(
    running: Checkout,
) -> None:
    served = get(running, FLAN)["ServedConfigName"]
    config = running.config()
    config["jumpstart_models"][1]["inference_instance_type"] = "ml.g5.24xlarge"
    running.fault("UpdateEndpoint", "Rollback", endpoint=FLAN)

    code, said = apply(running, config)
    assert code != 0
    assert FLAN in said
    assert served in configs(running), "still served"

    code, said = apply(running, config)
    assert code != 0, "the same again fails again"
    assert served in configs(running)

    planned = running.terraform("plan", "-no-color")
    assert planned.returncode == 0, "no plan fails over it"

    code, _ = apply(running, {**config, "history_days": 91})
    assert code != 0
    function = running.client("lambda").get_function_configuration(FunctionName="demo-api")
    assert function["Environment"]["Variables"]["HISTORY_DAYS"] == "91", "all else was applied"
    assert served in configs(running)
    assert get(running, FLAN)["ServedConfigName"] == served


def test_taking_the_change_back_mends_it_and_the_next_plan_is_empty(running: Checkout) -> None:
    served = get(running, FLAN)["ServedConfigName"]
    code, said = apply(running, running.config())
    assert code == 0, said
    assert served in configs(running)
    assert len(configs(running)) == 2, "the config that nobody serves is gone"
    planned = running.terraform("plan", "-detailed-exitcode", "-no-color")
    assert planned.returncode == 0, planned.stdout


def test_an_endpoint_of_somebody_else_stands_in_the_way_of_no_unrelated_change(
    running: Checkout,
) -> None:
    with running.api() as api:
        api.delete("/endpoint-expiry", params={"EndpointName": FLAN}).raise_for_status()
    until(lambda: running.status(FLAN) == "Absent", 60)
    sagemaker = running.client("sagemaker")
    other = next(name for name in configs(running) if "Flan" not in name)
    sagemaker.create_endpoint(EndpointName=FLAN, EndpointConfigName=other)
    until(lambda: running.status(FLAN) == "InService", 60)
    assert running.terraform("plan", "-no-color").returncode == 0
    code, said = apply(running, {**running.config(), "history_days": 92})
    assert code == 0, said
    sagemaker.delete_endpoint(EndpointName=FLAN)
    until(lambda: running.status(FLAN) == "Absent", 60)
