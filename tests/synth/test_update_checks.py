"""Each violated limit of UpdateEndpoint has its own error."""

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
def test_the_error_for_a_violated_limit_names_the_limit(violation: Violation) -> None:
    found = refused(violation.options, **_entry(violation.variants))
    assert any(problem.startswith(f"{AT}.{violation.said}") for problem in found), found


def _entry(variants: tuple[Variant, ...]) -> dict[str, Any]:
    """The fields of an entry with these variants, as far as updates need them."""
    match variants:
        case (Variant(instance_count=None),):
            return {"serverless": {"memory_mb": 2048, "max_concurrency": 5}}
        case (Variant(instance_count=count),):
            return {"inference_instance_count": count}
        case _:
            return {
                "variants": [{"name": v.name, "instance_count": v.instance_count} for v in variants]
            }


def test_all_problems_of_an_update_are_reported_together() -> None:
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
def test_updates_within_the_limits_are_accepted(update: dict[str, Any]) -> None:
    (entry,) = parse(
        config_with({**FLAN, "inference_instance_count": 4, "update": update})
    ).jumpstart_models
    assert entry.update == update


def test_the_timeout_must_cover_the_waits_of_all_steps() -> None:
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


def test_rolling_updates_need_one_variant_with_instances() -> None:
    found = refused(rolling(percent(10)), variants=[{"name": "A", "serverless": {}}, {"name": "B"}])
    assert (
        f"{AT}.{ROLLING}: cannot update serverless variants (A); use BlueGreenUpdatePolicy"
    ) in found
    assert (
        f"{AT}.{ROLLING}: takes endpoints of one variant only, and this has 2; use "
        "BlueGreenUpdatePolicy"
    ) in found


def test_an_update_that_is_no_object_is_refused() -> None:
    assert refused([]) == [f"{AT}: must be an object {{...}}"]


def test_the_update_policy_is_written_to_the_spec(tmp_path: Path) -> None:
    example = main.PROJECT / "configs/examples/falcon-all-settings.json"
    (item,) = synthesize(example, tmp_path).all("aws_dynamodb_table_item").values()
    written = json.loads(json.loads(item["item"])["update"]["S"])
    assert written == json.loads(example.read_text())["jumpstart_models"][0]["update"]
