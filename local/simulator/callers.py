"""Finds out who calls: the root user, or the session of a role."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from local.key import Key
from local.signature import Signature, SignatureError
from local.simulator.errors import SIGNATURE_CODES, UNKNOWN_CALLER, ApiError
from local.simulator.reply import Incoming


class Callers(Protocol):
    """Who may call."""

    def session(self, request: Incoming) -> str | None:
        """The ARN of the session that signed the request; None for the root user.

        Raises ApiError for anybody else.
        """
        ...


class Anybody:
    """A simulator without an emulator has no roles: every caller is the root user."""

    def session(self, request: Incoming) -> str | None:
        del request
        return None


@dataclass(frozen=True)
class HoldersOf:
    """The key of the embedded AWS is the root user's. Sessions are derived from it."""

    key: Key

    def session(self, request: Incoming) -> str | None:
        try:
            signature = Signature.of(request.head)
            session = self.key.session_of(signature.token) if signature.token else None
            known, secret = self.key.aws_access_key_id, self.key.aws_secret_access_key
            if session:
                known, secret = session.access_key_id, session.secret_access_key
            if signature.access_key_id != known or bool(signature.token) != bool(session):
                raise UNKNOWN_CALLER.error()
            signature.check(request.head, request.body, secret, datetime.now(UTC))
        except SignatureError as error:
            raise ApiError(SIGNATURE_CODES[error.code], str(error)) from None
        return session.arn if session else None
