"""How endpoints are created, changed and deleted, seen through describe calls. Only the last test
sleeps."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.simulator.account import Account
from local.simulator.fleet import StatusChange
from local.simulator.lifecycle import Durations, Status
from local.simulator.server import serving
from local.simulator.service import Simulator
from local.simulator.world import World
from tests.contract.simulated import ROLE, SESSION, Simulated, a_variant, simulated


@pytest.fixture
def here() -> Iterator[Simulated]:
    with simulated() as one:
        yield one


def config_of(here: Simulated) -> str:
    return here.sagemaker.describe_endpoint(EndpointName="Falcon")["EndpointConfigName"]


def summary_of(here: Simulated, variant: str = "AllTraffic") -> Any:
    variants = here.sagemaker.describe_endpoint(EndpointName="Falcon")["ProductionVariants"]
    return next(v for v in variants if v["VariantName"] == variant)


def update(here: Simulated, config: str = "next", **more: Any) -> None:
    here.sagemaker.update_endpoint(EndpointName="Falcon", EndpointConfigName=config, **more)


def test_a_new_endpoint_is_creating_until_its_time_is_over(here: Simulated) -> None:
    here.has_config()
    here.sagemaker.create_endpoint(EndpointName="Falcon", EndpointConfigName="config")

    here.clock.pass_seconds(299.9)
    assert here.status() == "Creating"
    here.clock.pass_seconds(0.1)
    assert here.status() == "InService"


def test_an_endpoint_shows_its_times_and_what_it_runs(here: Simulated) -> None:
    created_at = here.clock.now
    here.has_endpoint()

    shown = here.sagemaker.describe_endpoint(EndpointName="falcon")

    assert shown["EndpointName"] == "Falcon"
    assert shown["EndpointArn"].endswith(":endpoint/falcon")
    assert shown["CreationTime"] == created_at
    assert shown["LastModifiedTime"] == here.clock.now
    assert shown["ProductionVariants"] == [
        {
            "VariantName": "AllTraffic",
            "DeployedImages": [{"SpecifiedImage": "image:1", "ResolvedImage": "image:1"}],
            "CurrentWeight": 1.0,
            "DesiredWeight": 1.0,
            "CurrentInstanceCount": 1,
            "DesiredInstanceCount": 1,
        }
    ]


def test_a_deleted_endpoint_is_deleting_and_then_gone(here: Simulated) -> None:
    here.has_endpoint()
    here.sagemaker.delete_endpoint(EndpointName="Falcon")

    here.clock.pass_seconds(59)
    assert here.status() == "Deleting"
    here.clock.pass_seconds(1)
    with pytest.raises(ClientError, match="Could not find endpoint"):
        here.status()


def test_a_name_can_be_used_again_once_its_endpoint_is_gone(here: Simulated) -> None:
    here.has_endpoint()
    here.sagemaker.delete_endpoint(EndpointName="Falcon")
    here.clock.pass_seconds(60)

    here.sagemaker.create_endpoint(EndpointName="FALCON", EndpointConfigName="config")

    assert here.sagemaker.describe_endpoint(EndpointName="falcon")["EndpointName"] == "FALCON"


def test_the_old_config_is_served_until_an_update_is_complete(here: Simulated) -> None:
    here.has_endpoint()
    here.has_config("next", InitialInstanceCount=2)
    update(here)

    during = here.sagemaker.describe_endpoint(EndpointName="Falcon")
    assert (during["EndpointStatus"], during["EndpointConfigName"]) == ("Updating", "config")
    assert during["PendingDeploymentSummary"]["EndpointConfigName"] == "next"

    here.clock.pass_seconds(200)
    assert (here.status(), config_of(here)) == ("InService", "next")
    assert summary_of(here)["CurrentInstanceCount"] == 2


def test_an_update_that_rolls_back_ends_on_the_old_config_with_a_reason(here: Simulated) -> None:
    here.has_endpoint()
    here.has_config("next")
    here.fault("UpdateEndpoint", "Rollback")
    update(here)

    seen = [here.status()]
    for _ in range(2):
        here.clock.pass_seconds(100)
        seen.append(here.status())

    assert seen == ["Updating", "RollingBack", "InService"]
    shown = here.sagemaker.describe_endpoint(EndpointName="Falcon")
    assert shown["EndpointConfigName"] == "config"
    assert shown["FailureReason"].startswith("Request to service failed.")


def test_the_reason_of_a_rollback_disappears_with_the_next_update(here: Simulated) -> None:
    here.has_endpoint()
    here.has_config("next")
    here.fault("UpdateEndpoint", "Rollback")
    update(here)
    here.clock.pass_seconds(200)

    update(here)

    assert "FailureReason" not in here.sagemaker.describe_endpoint(EndpointName="Falcon")


def test_deleting_a_config_in_use_leaves_its_endpoint_serving(here: Simulated) -> None:
    here.has_endpoint()

    here.sagemaker.delete_endpoint_config(EndpointConfigName="config")

    assert here.status() == "InService"
    assert config_of(here) == "config"


def test_new_weights_and_counts_are_desired_first_and_current_later(here: Simulated) -> None:
    here.has_endpoint()
    here.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName="Falcon",
        DesiredWeightsAndCapacities=[
            {"VariantName": "AllTraffic", "DesiredWeight": 0.5, "DesiredInstanceCount": 3}
        ],
    )

    during = summary_of(here)
    assert here.status() == "Updating"
    assert (during["CurrentWeight"], during["DesiredWeight"]) == (1.0, 0.5)
    assert (during["CurrentInstanceCount"], during["DesiredInstanceCount"]) == (1, 3)

    here.clock.pass_seconds(200)
    after = summary_of(here)
    assert (after["CurrentWeight"], after["CurrentInstanceCount"]) == (0.5, 3)


def test_weights_of_a_missing_variant_are_refused(here: Simulated) -> None:
    here.has_endpoint()

    with pytest.raises(ClientError, match=r'variant name\(s\) "B" is/are not present'):
        here.sagemaker.update_endpoint_weights_and_capacities(
            EndpointName="Falcon",
            DesiredWeightsAndCapacities=[{"VariantName": "B", "DesiredWeight": 1}],
        )


@pytest.mark.parametrize(
    ("excluded", "weight_and_count"),
    [([], (1.0, 1)), (["DesiredInstanceCount"], (1.0, 4)), (["DesiredWeight"], (0.25, 1))],
)
def test_an_update_can_retain_weights_and_counts(
    here: Simulated, excluded: list[str], weight_and_count: tuple[float, int]
) -> None:
    here.has_endpoint()
    here.has_config("next", InitialInstanceCount=4, InitialVariantWeight=0.25)

    update(
        here,
        RetainAllVariantProperties=True,
        ExcludeRetainedVariantProperties=[{"VariantPropertyType": kind} for kind in excluded],
    )
    here.clock.pass_seconds(200)

    after = summary_of(here)
    assert (after["CurrentWeight"], after["CurrentInstanceCount"]) == weight_and_count


def test_properties_are_not_retained_across_other_variant_names(here: Simulated) -> None:
    here.has_endpoint()
    here.has_config("next", VariantName="B")

    with pytest.raises(ClientError, match="cannot be retained"):
        update(here, RetainAllVariantProperties=True)


def test_the_last_deployment_config_is_shown_and_can_be_retained(here: Simulated) -> None:
    here.has_endpoint()
    here.has_config("next")
    policy: Any = {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}
        }
    }
    update(here, DeploymentConfig=policy)
    here.clock.pass_seconds(200)
    update(here, "config", RetainDeploymentConfig=True)
    here.clock.pass_seconds(200)

    shown = here.sagemaker.describe_endpoint(EndpointName="Falcon")

    assert shown["LastDeploymentConfig"] == policy


def test_status_changes_happen_on_time_without_any_call() -> None:
    seen: dict[str, float] = {}
    in_service = threading.Event()

    def note(change: StatusChange, _: object) -> None:
        seen[change.endpoint.status.value] = time.monotonic()
        if change.endpoint.status is Status.IN_SERVICE:
            in_service.set()

    simulator = Simulator(World(Account(), Durations(create_seconds=0.2)), on_change=note)
    with serving(simulator) as server:
        client = SESSION.client("sagemaker", endpoint_url=server.url)
        client.create_model(
            ModelName="model", PrimaryContainer={"Image": "i"}, ExecutionRoleArn=ROLE
        )
        client.create_endpoint_config(EndpointConfigName="c", ProductionVariants=[a_variant()])
        client.create_endpoint(EndpointName="Falcon", EndpointConfigName="c")
        assert in_service.wait(5)

    assert 0.19 < seen["InService"] - seen["Creating"] < 1
