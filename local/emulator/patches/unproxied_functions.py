"""A function reaches the embedded AWS directly, also where its own variables name a proxy.

On AWS such a proxy leads out of a VPC. Here it would be asked for 127.0.0.1, which is another
machine to it.
"""

from importlib import import_module
from typing import Any

from client.loopback import reach_directly

lambda_runtime: Any = import_module("ministack.core.lambda_runtime")


def apply() -> None:
    """Add this machine to the exceptions of each function that starts."""
    spawn = lambda_runtime.Worker._spawn

    def spawn_unproxied(self: Any) -> None:
        variables = {**(self.config.get("Environment") or {}).get("Variables", {})}
        reach_directly(variables)
        self.config = {**self.config, "Environment": {"Variables": variables}}
        spawn(self)

    lambda_runtime.Worker._spawn = spawn_unproxied
