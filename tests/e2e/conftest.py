"""One embedded stack for the whole run, from a copy of the checkout."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.calls import FALCON, FLAN, get
from tests.e2e.checkout import Checkout, until


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """The stack is up before the first test and down after the last."""
    copied = Checkout.copy_to(tmp_path_factory.mktemp("checkout") / "project")
    try:
        copied.up()
        yield copied
    finally:
        copied.down()


@pytest.fixture
def idle(checkout: Checkout) -> Checkout:
    """A stack on which nothing is wanted and nothing runs."""
    checkout.clear_faults()
    with checkout.api() as api:
        for name in (FALCON, FLAN):
            api.delete("/endpoint-expiry", params={"EndpointName": name}).raise_for_status()
    for name in (FALCON, FLAN):
        until(lambda name=name: checkout.status(name) == "Absent", 60)  # type: ignore[misc]
        until(lambda name=name: get(checkout, name)["Status"] == "Absent", 60)  # type: ignore[misc]
    return checkout


LONGEST = (
    "deployer_of_everything",
    "rollouts",
    "authorization",
    "stack",
    "rest",
    "examples",
    "alarms",
    "integrations",
)
"""These files run first. Only short ones are left for the end, so no worker waits long."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all tests here as e2e, and run the destructive ones last (on each worker of xdist)."""
    for item in items:
        if "e2e" in item.path.parts:
            item.add_marker(pytest.mark.e2e)
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    name = item.path.stem.removeprefix("test_")
    if name in LONGEST and "e2e" in item.path.parts:
        return LONGEST.index(name)
    return len(LONGEST) + name.startswith("zz")
