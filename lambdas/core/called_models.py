"""The models that are called through functions, by the routes of the API."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from typing import Self

API_GATEWAY_SECONDS = 29
"""How long API Gateway waits for an answer, unless a route asks for more:
https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-execution-service-limits-table.html"""
ENTRY = "*"
"""Stands for the name of the entry. No name contains it."""


@dataclass(frozen=True, slots=True)
class CalledModel:
    """The entry of a route. `alias` is that of its function, empty for none. A `public` route needs
    no token. A call starts the stopped endpoint for `wake_minutes`; 0: it does not. If it
    `extends`, a call of a running one moves the end of its lease on. API Gateway waits `seconds`
    for the answer."""

    entry: str
    alias: str = ""
    public: bool = False
    wake_minutes: int = 0
    wakes_per_token_an_hour: int = 0
    extends: bool = False
    seconds: int = API_GATEWAY_SECONDS


@dataclass(frozen=True, slots=True)
class CalledModels:
    """The entries by the path of their route, such as `falcon`. In `endpoint` and `function`, `*`
    stands for the entry's name. So the text is short: all variables of a function may have 4 KB
    together, which are about eighty routes.

    https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
    """

    endpoint: str
    function: str
    routes: Mapping[str, CalledModel]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text that `str()` wrote."""
        endpoint, function, routes = json.loads(text)
        return cls(endpoint, function, {path: CalledModel(*of) for path, of in routes.items()})

    def __str__(self) -> str:
        routes = {path: _short(model) for path, model in self.routes.items()}
        document = [self.endpoint, self.function, routes]
        return json.dumps(document, separators=(",", ":"), sort_keys=True)

    def endpoint_name(self, model: CalledModel) -> str:
        return self.endpoint.replace(ENTRY, model.entry)

    def function_name(self, model: CalledModel) -> str:
        """The name of the entry's function, with its alias if it has one."""
        name = self.function.replace(ENTRY, model.entry)
        return f"{name}:{model.alias}" if model.alias else name


def _short(model: CalledModel) -> list[object]:
    """The fields, without those at the end that are as always."""
    given, usual = list(astuple(model)), astuple(CalledModel(model.entry))
    while len(given) > 1 and given[-1] == usual[len(given) - 1]:
        given.pop()
    return given
