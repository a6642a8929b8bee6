"""Repeated attempts of one SDK call: the answer of the first one, and no second effect.

An SDK that hears no answer sends its call again, under the same `amz-sdk-invocation-id`. Most calls
are not idempotent: the second attempt would be refused ("already exists"), though the call has
worked. On a loaded machine that would fail a deploy.
"""

import asyncio
from collections import OrderedDict
from typing import Any

_INVOCATION = b"amz-sdk-invocation-id"
_KEPT = 500
Messages = list[dict[str, Any]]


class Repeats:
    """The ASGI application `app`, for which every call of an SDK happens once."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._answers: OrderedDict[bytes, asyncio.Future[Messages]] = OrderedDict()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        call = _call_of(scope)
        if call is None:
            await self._app(scope, receive, send)
        elif call in self._answers:
            while (await receive()).get("more_body"):
                pass
            for message in await asyncio.shield(self._answers[call]):
                await send(message)
        else:
            await self._first(call, scope, receive, send)

    async def _first(self, call: bytes, scope: Any, receive: Any, send: Any) -> None:
        answer = self._answers[call] = asyncio.get_running_loop().create_future()
        messages: Messages = []

        async def keep(message: dict[str, Any]) -> None:
            messages.append(message)
            await send(message)

        try:
            await self._app(scope, receive, keep)
        finally:
            answer.set_result(messages)
            if not messages or messages[0].get("status", 500) >= 300:
                del self._answers[call]  # what failed may be tried again
            elif len(self._answers) > _KEPT:
                self._answers.popitem(last=False)


def _call_of(scope: Any) -> bytes | None:
    """The id of a call that may change something."""
    if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
        return None
    return next((value for name, value in scope["headers"] if name == _INVOCATION), None)
