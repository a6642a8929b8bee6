"""Interleaving: other actions that happen between two calls of a use case."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def before(target: object, method: str, act: Callable[[], object], times: int = 1) -> None:
    """Run `act` just before each of the next `times` calls of `method`."""
    real = getattr(target, method)
    left = times

    def interleaved(*args: Any, **kwargs: Any) -> Any:
        nonlocal left
        if left:
            left -= 1
            act()
        return real(*args, **kwargs)

    setattr(target, method, interleaved)


def failing(error: BaseException) -> Callable[..., Any]:
    def fail(*_args: object, **_kwargs: object) -> None:
        raise error

    return fail
