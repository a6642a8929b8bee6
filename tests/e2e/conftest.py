"""One embedded stack for the whole run, from a copy of the checkout."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.checkout import Checkout


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """Up before the first test, down after the last."""
    copied = Checkout.copy_to(tmp_path_factory.mktemp("checkout") / "project")
    try:
        copied.up()
        yield copied
    finally:
        copied.down()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark them all, and keep the destructive tests for the end."""
    for item in items:
        if "e2e" in item.path.parts:
            item.add_marker(pytest.mark.e2e)
    items.sort(key=lambda item: item.path.name.startswith("test_zz"))
