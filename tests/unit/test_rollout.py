"""How long an update may take, and the checks of sizes and times at their limits. Each violated
limit is in `tests/update_limits.py`."""

from __future__ import annotations

from typing import Any

import pytest

from lambdas.core.errors import InvalidField
from lambdas.core.rollout import UpdatePolicy, Variant, duration_of, policy_problems

BLUE_GREEN = "DeploymentConfig.BlueGreenUpdatePolicy"
ROUTING = f"{BLUE_GREEN}.TrafficRoutingConfiguration"
ROLLING = "DeploymentConfig.RollingUpdatePolicy"
FOUR, TWO, ONE, SERVERLESS = (
    Variant("four", 4),
    Variant("two", 2),
    Variant("one", 1),
    Variant("none", None),
)


def size(value: int, kind: str = "INSTANCE_COUNT") -> dict[str, Any]:
    return {"Type": kind, "Value": value}


def percent(value: int) -> dict[str, Any]:
    return size(value, "CAPACITY_PERCENT")


def routed(kind: str, wait: int = 60, **more: Any) -> dict[str, Any]:
    return {"Type": kind, "WaitIntervalInSeconds": wait, **more}


def blue_green(routing: dict[str, Any], **more: Any) -> dict[str, Any]:
    policy = {"TrafficRoutingConfiguration": routing, **more}
    return {"DeploymentConfig": {"BlueGreenUpdatePolicy": policy}}


def rolling(batch: dict[str, Any], wait: int = 60, **more: Any) -> dict[str, Any]:
    policy = {"MaximumBatchSize": batch, "WaitIntervalInSeconds": wait, **more}
    return {"DeploymentConfig": {"RollingUpdatePolicy": policy}}


def problems(document: object, *variants: Variant, served: Any = None) -> list[str]:
    return [str(problem) for problem in policy_problems(document, variants, served)]


@pytest.mark.parametrize(
    ("document", "variants"),
    [
        (blue_green(routed("ALL_AT_ONCE")), [ONE]),
        (blue_green(routed("CANARY", CanarySize=size(1))), [FOUR, TWO]),
        (blue_green(routed("CANARY", CanarySize=size(2))), [FOUR]),
        (blue_green(routed("CANARY", CanarySize=percent(50))), [FOUR, SERVERLESS]),
        (blue_green(routed("CANARY", CanarySize=percent(1))), [TWO]),
        (blue_green(routed("LINEAR", LinearStepSize=percent(10))), [FOUR]),
        (blue_green(routed("LINEAR", LinearStepSize=size(1))), [FOUR]),
        (rolling(size(1)), [TWO]),
        (rolling(size(2), RollbackMaximumBatchSize=size(4)), [FOUR]),
        (rolling(percent(5), RollbackMaximumBatchSize=percent(100)), [FOUR]),
        (rolling(size(7)), []),
        ({"RetainAllVariantProperties": True, "ExcludeRetainedVariantProperties": []}, [ONE]),
        ({"ExcludeRetainedVariantProperties": []}, [ONE]),
        ({"RetainDeploymentConfig": True}, [ONE]),
    ],
)
def test_options_at_their_limits_are_taken(document: Any, variants: list[Variant]) -> None:
    assert problems(document, *variants) == []
    assert UpdatePolicy.parse(document, variants).options == document


@pytest.mark.parametrize(
    ("document", "variants", "sentences"),
    [
        (
            blue_green(routed("CANARY", CanarySize=percent(51))),
            [ONE],
            [
                (
                    f"{ROUTING}.CanarySize.Value: must be at most 50 % of the variant's "
                    "instances, not 51 %"
                )
            ],
        ),
        (
            blue_green(routed("LINEAR", LinearStepSize=percent(9))),
            [FOUR],
            [
                (
                    f"{ROUTING}.LinearStepSize.Value: must be 10 to 50 % of the variant's "
                    "instances, "
                    "not 9 %"
                )
            ],
        ),
        (
            blue_green(routed("CANARY", CanarySize=size(1))),
            [ONE, FOUR],
            [
                (
                    f"{ROUTING}.CanarySize: must be at most 50 % of the instances of a "
                    "variant, and "
                    "variant 'one' has only one, of which no part can be taken: give it two or "
                    "more, "
                    "or use ALL_AT_ONCE"
                )
            ],
        ),
        (
            blue_green(routed("CANARY", CanarySize=size(3))),
            [FOUR, TWO],
            [
                (
                    f"{ROUTING}.CanarySize.Value: must be at most 50 % of the 4 instances of "
                    "variant "
                    "'four', which is 1 to 2, not 3"
                ),
                (
                    f"{ROUTING}.CanarySize.Value: must be at most 50 % of the 2 instances of "
                    "variant "
                    "'two', which is 1, not 3"
                ),
            ],
        ),
        (
            blue_green(routed("LINEAR", LinearStepSize=size(1))),
            [Variant("many", 11)],
            [
                (
                    f"{ROUTING}.LinearStepSize.Value: must be 10 to 50 % of the 11 instances of "
                    "variant 'many', which is 2 to 5, not 1"
                )
            ],
        ),
        (
            rolling(percent(4)),
            [FOUR],
            [
                (
                    f"{ROLLING}.MaximumBatchSize.Value: must be 5 to 50 % of the variant's "
                    "instances, "
                    "not 4 %"
                )
            ],
        ),
        (
            rolling(size(2), RollbackMaximumBatchSize=size(5)),
            [FOUR],
            [
                (
                    f"{ROLLING}.RollbackMaximumBatchSize.Value: must be at most 100 % of the 4 "
                    "instances of variant 'four', which is 1 to 4, not 5"
                )
            ],
        ),
        (
            rolling(size(1)),
            [TWO, SERVERLESS],
            [
                f"{ROLLING}: cannot update serverless variants (none); use BlueGreenUpdatePolicy",
                (
                    f"{ROLLING}: takes endpoints of one variant only, and this has 2; use "
                    "BlueGreenUpdatePolicy"
                ),
            ],
        ),
    ],
)
def test_size_that_no_fleet_can_be_divided_by_is_told_with_what_it_can(
    document: Any, variants: list[Variant], sentences: list[str]
) -> None:
    assert problems(document, *variants) == sentences
    with pytest.raises(InvalidField):
        UpdatePolicy.parse(document, variants)


@pytest.mark.parametrize(
    ("document", "variants", "told"),
    [
        (
            blue_green(routed("ALL_AT_ONCE", 500), TerminationWaitInSeconds=100),
            [ONE],
            "500 s in 1 interval + 100 s before the old fleet goes",
        ),
        (
            blue_green(routed("CANARY", 600, CanarySize=percent(30))),
            [FOUR],
            "600 s in 1 interval",
        ),
        (
            blue_green(routed("LINEAR", 200, LinearStepSize=percent(25))),
            [FOUR],
            "600 s in 3 intervals",
        ),
        (
            blue_green(routed("LINEAR", 200, LinearStepSize=percent(30))),
            [FOUR],
            "600 s in 3 intervals",
        ),
        (
            blue_green(routed("LINEAR", 200, LinearStepSize=size(1))),
            [FOUR],
            "600 s in 3 intervals",
        ),
        (
            blue_green(routed("LINEAR", 600, LinearStepSize=percent(50))),
            [FOUR],
            "600 s in 1 interval",
        ),
        (rolling(percent(50), 300), [FOUR], "600 s after 2 batches"),
        (rolling(size(1), 150), [FOUR], "600 s after 4 batches"),
        (rolling(size(2), 200), [Variant("five", 5)], "600 s after 3 batches"),
        (rolling(size(1), 600), [], "600 s after 1 batch"),
    ],
)
def test_timeout_must_be_longer_than_all_waits_together(
    document: Any, variants: list[Variant], told: str
) -> None:
    policy = next(iter(document["DeploymentConfig"].values()))
    kind = next(iter(document["DeploymentConfig"]))
    policy["MaximumExecutionTimeoutInSeconds"] = 600
    try:
        sizes = [p for p in problems(document, *variants) if "MaximumExecutionTimeout" not in p]
        assert problems(document, *variants)[len(sizes) :] == [
            (
                f"DeploymentConfig.{kind}.MaximumExecutionTimeoutInSeconds: must be larger "
                "than all "
                f"the waits together ({told}), not 600"
            )
        ]
        policy["MaximumExecutionTimeoutInSeconds"] = 601
        assert problems(document, *variants) == sizes
    finally:
        del policy["MaximumExecutionTimeoutInSeconds"]


def test_longest_time_of_an_update_is_its_timeout_or_else_its_waits() -> None:
    slow = blue_green(routed("LINEAR", 200, LinearStepSize=percent(25)))
    limited = blue_green(routed("ALL_AT_ONCE"), MaximumExecutionTimeoutInSeconds=1800)

    def longest(options: Any, last: Any = None) -> float:
        return UpdatePolicy(options).longest(duration_of(last or {})).total_seconds()

    assert longest({}) == 0
    assert longest(slow) == 600
    assert longest(limited) == 1800
    assert longest(rolling(size(1), 90)) == 90
    assert longest({"RetainDeploymentConfig": True}, limited["DeploymentConfig"]) == 1800
    assert longest({"RetainDeploymentConfig": True}) == 0
    assert longest({}, limited["DeploymentConfig"]) == 0, "it is not used again"
    assert longest(slow, limited["DeploymentConfig"]) == 600


def test_retained_properties_need_the_same_variants() -> None:
    retained = {"RetainAllVariantProperties": True}

    assert problems(retained, FOUR, TWO, served=[TWO, FOUR]) == []
    assert problems(retained, FOUR, served=None) == []
    assert problems(retained, served=[FOUR]) == []
    assert problems({}, FOUR, served=[TWO]) == []
    assert problems(retained, FOUR, ONE, served=[TWO, FOUR]) == [
        (
            "RetainAllVariantProperties: the names of the variants must stay the same where their "
            "properties are retained: the endpoint serves four, two, the new config has four, one"
        )
    ]


def test_wrong_parts_are_told_once_and_hide_no_others() -> None:
    both = {
        "DeploymentConfig": {
            "BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routed("CANARY")},
            "RollingUpdatePolicy": {"MaximumBatchSize": "x"},
        },
        "RetainDeploymentConfig": True,
    }

    fields = [problem.field for problem in policy_problems(both, [FOUR])]

    assert fields == [
        f"{ROLLING}.MaximumBatchSize",
        f"{ROLLING}.WaitIntervalInSeconds",
        "RetainDeploymentConfig",
        "DeploymentConfig",
        f"{ROUTING}.CanarySize",
    ]
    assert len(problems([])) == 1
    assert [p.field for p in policy_problems({"DeploymentConfig": 1})] == ["DeploymentConfig"]


def test_size_of_another_kind_of_routing_is_refused() -> None:
    document = blue_green(routed("CANARY", CanarySize=size(1), LinearStepSize=size(1)))

    assert problems(document, FOUR) == [
        f"{ROUTING}.LinearStepSize: goes only with Type LINEAR, not with CANARY; remove it"
    ]
    missing = blue_green(routed("LINEAR"))
    assert problems(missing, FOUR) == [
        f"{ROUTING}.LinearStepSize: is required where Type is LINEAR"
    ]
