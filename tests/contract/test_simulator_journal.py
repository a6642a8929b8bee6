"""A simulator that was killed comes back with what it had accepted."""

import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from local.simulator.errors import ApiError
from local.simulator.journal import Change, Journal
from local.simulator.lifecycle import Json
from local.simulator.service import Simulator
from local.simulator.world import World
from tests.contract.simulated import ACCOUNT, DURATIONS, ROLE, SESSION, HandClock, a_variant
from tests.contract.test_simulator_server import first_line, process

Call = Callable[..., Json]
VARIANT = "endpoint/Falcon/variant/AllTraffic"
SCALED = {
    "ServiceNamespace": "sagemaker",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    "ResourceId": VARIANT,
}


def a_simulator(path: Path, clock: HandClock) -> Simulator:
    world, journal = World(ACCOUNT, DURATIONS), Journal(path)
    journal.replay(world)
    return Simulator(world, clock=clock, keeping=journal.keeping)


def calling(simulator: Simulator) -> Call:
    def call(operation: str, **request: Any) -> Json:
        return simulator.call(operation, request)

    return call


def everything(call: Call) -> list[Json]:
    shown = [call(f"List{kind}s") for kind in ("Model", "EndpointConfig", "Endpoint")]
    for summary in shown[2]["Endpoints"]:
        shown.append(call("DescribeEndpoint", EndpointName=summary["EndpointName"]))
        shown.append(call("ListTags", ResourceArn=summary["EndpointArn"]))
    shown.append(call("DescribeScalableTargets", ServiceNamespace="sagemaker"))
    shown.append(call("DescribeScalingPolicies", ServiceNamespace="sagemaker"))
    return shown


def test_the_same_world_comes_back_and_time_has_gone_on(tmp_path: Path) -> None:
    clock = HandClock()
    first = a_simulator(tmp_path / "journal", clock)
    call = calling(first)
    call("CreateModel", ModelName="model", PrimaryContainer={"Image": "i"}, ExecutionRoleArn=ROLE)
    for name in ("one", "two"):
        call("CreateEndpointConfig", EndpointConfigName=name, ProductionVariants=[a_variant()])
    for name in ("Falcon", "Flan", "Gone", "Stuck"):
        if name == "Stuck":
            first.post_fault({"operation": "CreateEndpoint", "failure": "Stuck"})
        tags = [{"Key": "name", "Value": name}]
        call("CreateEndpoint", EndpointName=name, EndpointConfigName="one", Tags=tags)
    clock.pass_seconds(DURATIONS.create_seconds)
    call("RegisterScalableTarget", **SCALED, MinCapacity=1, MaxCapacity=3)
    call("AddTags", ResourceArn=call("DescribeEndpoint", EndpointName="Falcon")["EndpointArn"],
         Tags=[{"Key": "more", "Value": ""}])  # fmt: skip
    first.post_fault({"operation": "UpdateEndpoint", "failure": "Rollback"})
    call("UpdateEndpoint", EndpointName="Flan", EndpointConfigName="two")
    call("DeleteEndpoint", EndpointName="Gone")
    first.clear_faults()
    with pytest.raises(ApiError):
        call("DeleteModel", ModelName="none")

    for seconds in (0, DURATIONS.update_seconds / 2, DURATIONS.update_seconds):
        clock.pass_seconds(seconds)
        again = a_simulator(tmp_path / "journal", clock)
        assert everything(calling(again)) == everything(call)


def test_what_was_announced_is_not_announced_again(tmp_path: Path) -> None:
    clock = HandClock()
    call = calling(a_simulator(tmp_path / "journal", clock))
    call("CreateModel", ModelName="model", PrimaryContainer={"Image": "i"}, ExecutionRoleArn=ROLE)
    call("CreateEndpointConfig", EndpointConfigName="one", ProductionVariants=[a_variant()])
    call("CreateEndpoint", EndpointName="Falcon", EndpointConfigName="one")
    world = World(ACCOUNT, DURATIONS)
    Journal(tmp_path / "journal").replay(world)

    world.settle(clock.now + timedelta(seconds=DURATIONS.create_seconds))

    assert [change.endpoint.status.value for change in world.take_changes()] == ["InService"]


def test_a_line_that_was_cut_off_is_dropped(tmp_path: Path) -> None:
    journal, clock = tmp_path / "journal", HandClock()
    call = calling(a_simulator(journal, clock))
    for name in ("one", "two"):
        call("CreateModel", ModelName=name, PrimaryContainer={"Image": "i"}, ExecutionRoleArn=ROLE)
    journal.write_bytes(journal.read_bytes()[:-5])

    again = calling(a_simulator(journal, clock))
    again("CreateModel", ModelName="three", PrimaryContainer={"Image": "i"}, ExecutionRoleArn=ROLE)

    models = calling(a_simulator(journal, clock))("ListModels", SortBy="Name")["Models"]
    assert [model["ModelName"] for model in models] == ["three", "one"]


@pytest.mark.parametrize("room", [0, 10])
def test_what_a_full_disk_cannot_take_is_not_done_and_leaves_nothing(
    tmp_path: Path, room: int
) -> None:
    journal, clock = tmp_path / "journal", HandClock()
    simulator = a_simulator(journal, clock)
    call = calling(simulator)
    model = {"PrimaryContainer": {"Image": "i"}, "ExecutionRoleArn": ROLE}
    call("CreateModel", ModelName="before", **model)
    with largest_file(journal.stat().st_size + room), pytest.raises(OSError, match=r"large|space"):
        call("CreateModel", ModelName="refused", **model)
    call("CreateModel", ModelName="after", **model)

    again = calling(a_simulator(journal, clock))

    assert everything(again) == everything(call)
    assert [model["ModelName"] for model in again("ListModels", SortBy="Name")["Models"]] == [
        "before",
        "after",
    ]


def test_a_change_that_is_refused_leaves_no_line(tmp_path: Path) -> None:
    call = calling(a_simulator(tmp_path / "journal", HandClock()))
    with pytest.raises(ApiError):
        call("DeleteModel", ModelName="none")
    assert not (tmp_path / "journal").read_bytes()


def test_a_process_that_was_killed_while_it_refused_a_change_starts_again(tmp_path: Path) -> None:
    journal, clock = tmp_path / "journal", HandClock()
    killed = Change("DeleteModel", clock.now, {"ModelName": "none"})
    journal.write_bytes(killed.as_line())
    assert not calling(a_simulator(journal, clock))("ListModels")["Models"]


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file may become larger, as on a disk without room."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_killed_process_goes_on_where_it_ended(tmp_path: Path) -> None:
    arguments = ("--journal", str(tmp_path / "journal"))
    with process(*arguments, LOCAL_CREATE_SECONDS="3600") as running:
        url = f"http://127.0.0.1:{int(first_line(running))}"
        client = SESSION.client("sagemaker", endpoint_url=url)
        client.create_model(
            ModelName="model", PrimaryContainer={"Image": "i"}, ExecutionRoleArn=ROLE
        )
        client.create_endpoint_config(EndpointConfigName="c", ProductionVariants=[a_variant()])
        client.create_endpoint(EndpointName="Falcon", EndpointConfigName="c")
        before = client.describe_endpoint(EndpointName="Falcon")
        running.kill()
        running.wait()
    time.sleep(2)

    with process(*arguments, LOCAL_CREATE_SECONDS="2") as running:
        url = f"http://127.0.0.1:{int(first_line(running))}"
        after = SESSION.client("sagemaker", endpoint_url=url).describe_endpoint(
            EndpointName="Falcon"
        )

    assert (before["EndpointStatus"], after["EndpointStatus"]) == ("Creating", "InService")
    assert after["CreationTime"] == before["CreationTime"]
    assert after["LastModifiedTime"] == before["CreationTime"] + timedelta(seconds=2)
