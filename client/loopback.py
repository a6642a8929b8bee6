"""This machine is never reached through a proxy: to a proxy, 127.0.0.1 is itself.

Go, with Terraform, knows this of itself. Python and botocore have to be told.
"""

from __future__ import annotations

from collections.abc import MutableMapping

NAMES = ("127.0.0.1", "localhost")
_EVERYTHING = "*"


def reach_directly(environment: MutableMapping[str, str]) -> None:
    """Add this machine to the exceptions from proxies. Those that are there are kept."""
    given = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    names = [name for name in map(str.strip, given.split(",")) if name]
    if _EVERYTHING not in names:
        names += [name for name in NAMES if name not in names]
    for variable in ("NO_PROXY", "no_proxy"):
        environment[variable] = ",".join(names)
