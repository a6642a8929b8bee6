"""What holds for all tests."""

from __future__ import annotations

from hypothesis import settings

# A machine that is busy with something else is no failure of a test.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
