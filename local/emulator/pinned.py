"""The only MiniStack version that the patches fit."""

from importlib import metadata

MINISTACK_VERSION = "1.5.33"


class WrongMinistackError(Exception):
    """The installed MiniStack is not the version that the patches were written for."""


def require_pinned_version() -> None:
    """Refuse any other version: on changed internals, patches would fail later and in odd ways.

    Raises WrongMinistackError.
    """
    try:
        found = metadata.version("ministack")
    except metadata.PackageNotFoundError:
        raise WrongMinistackError(
            f"MiniStack is not installed: the embedded AWS needs ministack=={MINISTACK_VERSION}."
        ) from None
    if found != MINISTACK_VERSION:
        raise WrongMinistackError(
            f"MiniStack {found} is installed, but the patches in local/emulator/patches are written"
            f" for {MINISTACK_VERSION}: install ministack=={MINISTACK_VERSION}."
        )
