"""The world that most stories of the meter start with."""

from __future__ import annotations

import pytest

from tests.fakes import a_spec
from tests.world import World


@pytest.fixture
def world() -> World:
    """Falcon is declared in the config and stopped; `cfg` and `other` are endpoint configs."""
    world = World()
    world.deploy(a_spec("falcon"))
    world.endpoints.configs |= {"cfg", "other"}
    return world
