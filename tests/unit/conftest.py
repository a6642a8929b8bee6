"""What most stories of the meter begin with."""

from __future__ import annotations

import pytest

from tests.fakes import a_spec
from tests.world import World


@pytest.fixture
def world() -> World:
    """Falcon is in the config, stopped; `cfg` and `other` are configs of SageMaker."""
    world = World()
    world.deploy(a_spec("falcon"))
    world.endpoints.configs |= {"cfg", "other"}
    return world
