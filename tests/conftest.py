"""What holds for all tests."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

# A machine that is busy with something else is no failure of a test.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One more than there are processors: tests also wait, for emulators and Terraform."""
    return (os.cpu_count() or 1) + 1
