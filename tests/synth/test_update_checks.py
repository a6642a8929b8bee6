"""Each limit of UpdateEndpoint, violated on purpose, has an error of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import main
from constructs_lib.config.file import parse
from constructs_lib.config.problems import InvalidConfig
from lambdas.core.rollout import Variant
from tests.synth.synthesis import FLAN, config_with, synthesize
from tests.update_limits import (
    BLUE_GREEN,
    LIMITS,
    ROLLING,
    ROUTING,
    Violation,
    alarms,
    canary,
    count,
    linear,
    percent,
    rolling,
)

AT = "jumpstart_models[0].update"


def refused(update: object, **entry: Any) -> list[str]:
    with pytest.raises(InvalidConfig) as caught:
        parse(config_with({**FLAN, **entry, "update": update}))
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize("violation", LIMITS.values(), ids=LIMITS)
def test_violating_a_limit_says_which(violation: Violation) -> None:
    found = refused(violation.options, **_entry(violation.variants))
    assert any(problem.startswith(f"{AT}.{violation.said}") for problem in found), found


def _entry(variants: tuple[Variant, ...]) -> dict[str, Any]:
    """What an entry of these variants says, as far as updates care."""
    match variants:
        case (Variant(instance_count=None),):
            return {"serverless": {"memory_mb": 2048, "max_concurrency": 5}}
        case (Variant(instance_count=count),):
            return {"inference_instance_count": count}
        case _:
            return {
                "variants": [{"name": v.name, "instance_count": v.instance_count} for v in variants]
            }


def test_all_that_is_wrong_is_said_at_once() -> None:
    update = {
        **canary(percent(60), WaitIntervalInSeconds=4000),
        "RetainDeploymentConfig": 1,
        "Typo": True,
    }
    assert len(refused(update)) == 3
    assert len(refused(canary(percent(60)), shedule=[])) == 2


@pytest.mark.parametrize(
    "update",
    [
        canary(percent(25), WaitIntervalInSeconds=300),
        canary(count(2)),
        linear(percent(10), WaitIntervalInSeconds=3600),
        linear(count(1)),
        rolling(count(2), RollbackMaximumBatchSize=count(4), MaximumExecutionTimeoutInSeconds=600),
        {**alarms("one", "two"), "RetainAllVariantProperties": True},
        {"RetainDeploymentConfig": True},
        {},
    ],
    ids=str,
)
def test_what_keeps_the_limits_is_taken(update: dict[str, Any]) -> None:
    (entry,) = parse(
        config_with({**FLAN, "inference_instance_count": 4, "update": update})
    ).jumpstart_models
    assert entry.update == update


def test_waits_of_all_steps_count() -> None:
    slow = linear(percent(10), WaitIntervalInSeconds=3600)
    policy = slow["DeploymentConfig"]["BlueGreenUpdatePolicy"]
    policy["MaximumExecutionTimeoutInSeconds"] = 28800
    assert refused(slow, inference_instance_count=10) == [
        (
            f"{AT}.{BLUE_GREEN}.MaximumExecutionTimeoutInSeconds: must be larger than all the "
            "waits together (32400 s in 9 intervals), not 28800"
        )
    ]


def test_sizes_are_measured_against_the_instances_of_each_variant() -> None:
    two = [{"name": "Big", "instance_count": 10}, {"name": "Small", "instance_count": 4}]
    found = refused(canary(count(3)), variants=two)
    assert (
        f"{AT}.{ROUTING}.CanarySize.Value: must be at most 50 % of the 4 instances of variant "
        "'Small', which is 1 to 2, not 3"
    ) in found
    assert not any("'Big'" in problem for problem in found)


def test_rolling_takes_one_variant_with_instances() -> None:
    found = refused(rolling(percent(10)), variants=[{"name": "A", "serverless": {}}, {"name": "B"}])
    assert (
        f"{AT}.{ROLLING}: cannot update serverless variants (A); use BlueGreenUpdatePolicy"
    ) in found
    assert (
        f"{AT}.{ROLLING}: takes endpoints of one variant only, and this has 2; use "
        "BlueGreenUpdatePolicy"
    ) in found


def test_something_else_than_an_object_is_said_to_be_so() -> None:
    assert refused([]) == [f"{AT}: must be an object {{...}}"]


def test_the_policy_stands_in_the_spec(tmp_path: Path) -> None:
    example = main.PROJECT / "configs/examples/falcon-all-settings.json"
    (item,) = synthesize(example, tmp_path).all("aws_dynamodb_table_item").values()
    written = json.loads(json.loads(item["item"])["update"]["S"])
    assert written == json.loads(example.read_text())["jumpstart_models"][0]["update"]
