"""This machine is never reached through a proxy: to a proxy, 127.0.0.1 is itself.

Go, with Terraform, knows this of itself. Python and botocore have to be told.
"""

from __future__ import annotations

from collections.abc import MutableMapping

NAMES = ("127.0.0.1", "localhost")
_EVERYTHING = "*"
_VARIABLES = ("NO_PROXY", "no_proxy")
"""Programs read one or the other."""


def reach_directly(environment: MutableMapping[str, str]) -> None:
    """Add this machine to the exceptions from proxies. Those of both variables are kept."""
    given = ",".join(environment.get(variable, "") for variable in _VARIABLES).split(",")
    names = dict.fromkeys(filter(None, map(str.strip, given)))
    if _EVERYTHING not in names:
        names |= dict.fromkeys(NAMES)
    for variable in _VARIABLES:
        environment[variable] = ",".join(names)
