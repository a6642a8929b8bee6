"""The operation of each route: its parameters and its possible answers.

A function is registered through its Operation, so that what is checked before it runs and what
/openapi.json says are the same. The models of the answers are only named: to import them takes
longer than to answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from aws_lambda_powertools.event_handler.router import APIGatewayRouter

from lambdas.core.routes import Route
from lambdas.handlers.error_answers import WORTH_A_RETRY

Answering = TypeVar("Answering", bound=Callable[..., Any])

_ANY_CALL = (400, 429, 500, 502, 503, 504)
_WITH_TOKEN = (401, 403)
_WITH_BODY = (413, 415)
RETRY_AFTER = {
    "description": "Seconds to wait before the next try.",
    "schema": {"type": "integer", "minimum": 1},
}
_MEANINGS: Mapping[int, str] = {
    400: "A parameter, a header or the body is wrong; the sentence names the field.",
    401: "No token in the Authorization header.",
    403: "The token is not known, or lacks the scope that this call needs.",
    404: "No endpoint of that name is on the meter.",
    409: "The name is taken, the deployed config owns what was to be changed, or the endpoint is "
    "not in the state for it.",
    413: "The body is too large.",
    415: "The body is not sent as JSON.",
    422: "The request is understood and cannot be done: too long a lease, an endpoint config that "
    "SageMaker does not know, or an Idempotency-Key that was used for another body.",
    429: "Too many requests of this token, or of all callers together.",
    500: "A bug of the meter; its log has the reason under the requestId.",
    502: "AWS refused what the meter asked of it; its log has the reason under the requestId.",
    503: "Not now: AWS is busy, too many change the same endpoint at once, or the stack is being "
    "destroyed.",
    504: "No answer in time. A change may or may not have been made: look with GET, or repeat the "
    "request with the same Idempotency-Key.",
}


FUNCTIONS: dict[Route, Callable[..., Any]] = {}
"""The functions that were registered."""


@dataclass(frozen=True, slots=True)
class Documented:
    """`model` is the name of its type in `lambdas.handlers.documents`."""

    description: str
    model: str
    headers: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Operation:
    """What a route of the list does. `query` are its parameters. `answers` are the successes by
    their status. `refusals` are the statuses of errors, besides those that
    every operation has. `keyed`: it takes an Idempotency-Key. `names_endpoint` is the parameter or
    the field of the body with the name of the endpoint that the scope must cover. If the name is
    optional, the module of the route checks the scope itself."""

    route: Route
    summary: str
    answers: Mapping[int, Documented]
    refusals: tuple[int, ...] = ()
    query: tuple[str, ...] = ()
    description: str = ""
    tag: str = "Meters"
    keyed: bool = False
    names_endpoint: str = "EndpointName"
    scopes_told: str = ""
    """For people: when one of the route's `or_scopes` is needed."""

    def on(self, router: APIGatewayRouter) -> Callable[[Answering], Answering]:
        """Register the function that answers this call."""
        decorate: Callable[[Answering], Answering] = router.route(
            self.route.path, self.route.method
        )

        def registered(function: Answering) -> Answering:
            FUNCTIONS[self.route] = function
            return decorate(function)

        return registered

    def every_answer(self) -> Mapping[int, Documented]:
        """All possible answers by their status, refusals included."""
        statuses = {*_ANY_CALL, *self.refusals}
        if self.route.scope:
            statuses |= {*_WITH_TOKEN}
        if self.route.takes_body:
            statuses |= {*_WITH_BODY}
        refusals = {status: _refusal(status) for status in sorted(statuses - set(self.answers))}
        return {**self.answers, **refusals}


def _refusal(status: int) -> Documented:
    headers = {"Retry-After": RETRY_AFTER} if status in WORTH_A_RETRY else {}
    return Documented(_MEANINGS[status], "Error", headers)
