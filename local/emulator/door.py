"""What may come in: only requests to this machine, and only signed ones, except where AWS too takes
unsigned requests. A page in a browser gets no permission to read an answer.

MiniStack has paths that check nothing. So everything is checked here, before it gets a request.
"""

import math
import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import import_module
from typing import Any
from urllib.parse import parse_qs, urlsplit

from local.signature import Head, Signature, SignatureError

apigateway: Any = import_module("ministack.services.apigateway_v1")
app: Any = import_module("ministack.app")
cognito: Any = import_module("ministack.services.cognito")
evaluator: Any = import_module("ministack.core.iam_evaluator")
iam_actions: Any = import_module("ministack.core.iam_actions")
responses: Any = import_module("ministack.core.responses")
router: Any = import_module("ministack.core.router")

MACHINE = re.compile(r"(127\.0\.0\.1|localhost)(:\d+)?", re.IGNORECASE)
REST_API = re.compile(r"([a-z0-9]+)\.execute-api\.localhost(:\d+)?")
PUBLIC = re.compile(
    r"GET /(_ministack/health|oauth2/authorize|logout)|POST /(oauth2/)?login"
    r"|POST /oauth2/token|(GET|POST) /oauth2/user[Ii]nfo"
)
OWN_PATHS = "/_"
READ_BY_PAGES = re.compile(r"/oauth2/(token|user[Ii]nfo)")
PUBLIC_KEYS = re.compile(r"/([^/]+)/\.well-known/(jwks\.json|openid-configuration)")
SIGN_IN = "AWSCognitoIdentityProviderService."
CORS = b"access-control-"
_JSON = {"Content-Type": "application/json"}
MOST_UNSIGNED_BYTES = 64 * 1024
Answer = tuple[int, Mapping[str, str], bytes]


class Door:
    """The ASGI application: `unsigned` for what needs no signature, `signed` for the rest."""

    def __init__(self, unsigned: Any, signed: Any) -> None:
        self._unsigned = unsigned
        self._signed = signed

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._unsigned(scope, receive, send)
            return
        if scope["type"] != "http":
            await receive()
            await send({"type": "websocket.close"})
            return
        head, path = _head_of(scope), scope["path"]
        host = head.headers.get("host", "")
        api = REST_API.fullmatch(host)
        if not head.path.startswith("/"):  # as to a proxy: it would name a second host
            await _answer(send, 400, _JSON, b'{"message":"Ask for a path alone."}')
        elif api:
            await self._to_stage(api[1], path, scope, receive, send)
        elif not MACHINE.fullmatch(host):
            await _answer(send, 403, _JSON, b'{"message":"Use 127.0.0.1 or localhost."}')
        elif READ_BY_PAGES.fullmatch(path):
            await self._for_pages(head, scope, receive, send)
        elif _needs_no_signature(head, path):
            await self._unsigned(scope, receive, _without_cors(send))
        else:
            await self._if_signed(head, scope, receive, _without_cors(send))

    async def _to_stage(self, api: str, path: str, scope: Any, receive: Any, send: Any) -> None:
        """A request to a deployed API. MiniStack would take other paths for its own."""
        if path.split("/")[1] in apigateway.stages_for_api(api):
            await self._unsigned(scope, receive, send)
        else:
            await _answer(send, 403, _JSON, b'{"message":"Forbidden"}')

    async def _for_pages(self, head: Head, scope: Any, receive: Any, send: Any) -> None:
        """Pages with a registered callback may read their own tokens, as from Cognito."""
        origin = head.headers.get("origin", "")
        allowed = _cors_for(origin) if origin in _origins() else {}
        if head.method == "OPTIONS":
            await _answer(send, 204 if allowed else 403, allowed, b"")
        else:
            await self._unsigned(scope, receive, _without_cors(send, allowed))

    async def _if_signed(self, head: Head, scope: Any, receive: Any, send: Any) -> None:
        body = None
        try:
            signature = Signature.of(head)
            secret = _secret_of(signature)
            body = await _body(receive)
            signature.check(head, body, secret, datetime.now(UTC))
        except SignatureError as error:
            if body is None:
                body = await _body(receive, MOST_UNSIGNED_BYTES)
            await _answer(send, *_refusal(head, body, error))
            return
        if scope["path"].startswith(OWN_PATHS) and not _is_root(signature):
            await _answer(send, 403, _JSON, b'{"message":"Only the root user may do this."}')
            return
        parts = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def replay() -> Any:
            return next(parts, None) or await receive()

        await self._signed(scope, replay, send)


def _head_of(scope: Any) -> Head:
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        headers[key] = f"{headers[key]},{text}" if key in headers else text
    path = scope["raw_path"].decode("latin-1")
    return Head(scope["method"], path, scope["query_string"].decode("latin-1"), headers)


def _needs_no_signature(head: Head, path: str) -> bool:
    if PUBLIC.fullmatch(f"{head.method} {path}"):
        return True
    keys = PUBLIC_KEYS.fullmatch(path)
    if keys and head.method == "GET":
        return any(name == keys[1] for name, _ in cognito._all_pools())
    prefix, called, operation = head.headers.get("x-amz-target", "").partition(SIGN_IN)
    return (
        (head.method, path) == ("POST", "/")
        and called == SIGN_IN
        and not prefix
        and "authorization" not in head.headers
        and operation in iam_actions.unsigned_operations("cognito-idp")
    )


def _secret_of(signature: Signature) -> str:
    """The secret of the access key. Raises SignatureError if there is no such key or session."""
    access_key_id = signature.access_key_id
    account = (
        responses._account_from_sts_session(access_key_id)
        or evaluator.find_iam_access_key_account(access_key_id)
        or responses.get_account_id()
    )
    found = evaluator.resolve_credential(access_key_id, account, signature.token)
    if isinstance(found, evaluator.CredentialResolutionError):
        raise SignatureError(found.code, found.message)
    secret: str = found.secret_access_key
    return secret


def _is_root(signature: Signature) -> bool:
    """MiniStack's own paths, such as its reset, know no IAM."""
    return bool(evaluator.is_root_access_key(signature.access_key_id))


def _refusal(head: Head, body: bytes, error: SignatureError) -> Answer:
    """The error in the protocol of the service that was asked. Some name it in the body."""
    headers, query = dict(head.headers), parse_qs(head.query, keep_blank_values=True)
    routing = app._routing_params(head.method, head.path, headers, body, query)
    service = router.detect_service(head.method, head.path, headers, routing)
    failure = evaluator.AuthError(error.code, str(error))
    answer: Answer = app._credential_failure(service, "", str(uuid.uuid4()), failure, headers)
    return answer


def _origins() -> set[str]:
    """The origins of the callbacks that are registered with any user pool."""
    callbacks = (
        urlsplit(callback)
        for _, pool in cognito._all_pools()
        for client in (pool.get("_clients") or {}).values()
        for callback in client.get("CallbackURLs") or ()
    )
    return {f"{callback.scheme}://{callback.netloc}" for callback in callbacks}


def _cors_for(origin: str) -> dict[str, str]:
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Headers": "Authorization, Content-Type",
        "Access-Control-Allow-Methods": "GET, POST",
        "Vary": "Origin",
    }


def _without_cors(send: Any, instead: Mapping[str, str] | None = None) -> Any:
    """Drop MiniStack's CORS headers, which allow every page to read the answer."""

    async def send_without(message: Any) -> None:
        if message["type"] == "http.response.start":
            kept = [pair for pair in message["headers"] if not pair[0].lower().startswith(CORS)]
            message = {**message, "headers": [*kept, *_encoded(instead or {})]}
        await send(message)

    return send_without


async def _body(receive: Any, most_bytes: float = math.inf) -> bytes:
    body = bytearray()
    more = True
    while more and len(body) <= most_bytes:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return bytes(body)


async def _answer(send: Any, status: int, headers: Mapping[str, str], body: bytes) -> None:
    own = {**headers, "Content-Length": str(len(body))}
    await send({"type": "http.response.start", "status": status, "headers": _encoded(own)})
    await send({"type": "http.response.body", "body": body})


def _encoded(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]
