"""Work that a function does while it is imported. Lambda gives it a full CPU then, whatever its
memory; later a function of 256 MB has a seventh of one."""

from __future__ import annotations

import os
from collections.abc import Callable


def prepare(*factories: Callable[[], object]) -> None:
    """Call cached factories now, so that the first request finds clients and settings made. Only in
    Lambda: tests import the handlers without its environment."""
    if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
        for make in factories:
            make()
