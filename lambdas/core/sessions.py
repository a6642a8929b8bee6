"""The use cases of sessions: parts of the lease that a program pays while it runs.

A session has an end of its own beside the shared one, so that a program can end its part without
taking anybody's minutes. The lease ends with the latest of all of them.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from lambdas.core.decision import meter_of
from lambdas.core.documents import minutes_text
from lambdas.core.errors import InvalidField, LeaseTooLong
from lambdas.core.idempotency import Answer, Request, answered, keyed_with, operation_of
from lambdas.core.name_patterns import ANY_NAME, NamePatterns
from lambdas.core.reasons import ended_now
from lambdas.core.spec import Spec
from lambdas.core.state import Ended, EndedBy, Record, State, live_sessions, paid_again
from lambdas.core.takeover import renewed_meanwhile
from lambdas.core.use_cases import UseCases

MAX_SESSION_MINUTES = 15
"""A program that dies costs at most this."""
_NAME = re.compile(r"[A-Za-z0-9._:-]{1,64}")


@dataclass(frozen=True, slots=True)
class SessionUseCases(UseCases):
    """Pay for a session and end it. Both raise UnknownEndpoint, InvalidField and Busy."""

    adoptable: NamePatterns = ANY_NAME
    """Which endpoints the stack may adopt."""

    def pay(self, name: str, session: str, minutes: int, now: datetime, request: Request) -> Answer:
        """Let the session end `minutes` from now, whatever its end was before. Like a renewal, this
        ends a hold. Raises LeaseTooLong, TooManySessions, NotOurs and Draining."""
        request.require("renew", name)
        session_id = _id_of(session, request)
        if minutes > MAX_SESSION_MINUTES:
            raise InvalidField(
                "minutes",
                f"a session is paid at most {MAX_SESSION_MINUTES} minutes ahead: send at most "
                "that, and send it again before they are over",
            )
        self.refuse_while_draining(now)
        end = now.replace(microsecond=0) + timedelta(minutes=minutes)

        def pay(record: Record, spec: Spec, state: State) -> Answer:
            self.refuse_stranger(record, request, self.adoptable)
            if minutes > spec.max_lease_minutes:
                raise LeaseTooLong(spec.max_lease_minutes)
            sessions = {**state.sessions, session_id: end}
            paid = paid_again(replace(state, sessions=sessions), now)
            operation = operation_of(spec, paid, request, now, 200)
            keyed = keyed_with(record, request, operation)
            over = replace(state, adopting=renewed_meanwhile(state, now))
            self.store.pay_session(record.key, session_id, end, now, keyed, over)
            if session_id not in live_sessions(state, now):
                self.note(record.key, now, "session began", minutes_text(minutes), request)
            self.look_at(record.key, state)
            return answered(record, operation)

        return self.until_written(name, now, request, pay)

    def end(self, name: str, session: str, now: datetime, request: Request) -> Answer:
        """End the session, and nothing else. Without effect if it is over."""
        request.require("renew", name)
        session_id = _id_of(session, request)

        def end(record: Record, spec: Spec, state: State) -> Answer:
            lives = session_id in live_sessions(state, now)
            ended = {session_id: now.replace(microsecond=0)} if lives else {}
            after = replace(state, sessions={**state.sessions, **ended})
            draining = self.store.control().draining(now)
            if lives and not meter_of(spec, after).wanted(now):
                over = Ended(EndedBy.LEASE, now.replace(microsecond=0))
                after = ended_now(after, now, over)
            operation = operation_of(spec, after, request, now, 200, draining=draining)
            self.store.stop(record.key, after, now, keyed_with(record, request, operation))
            if lives:
                self.note(record.key, now, "session ended", "by its program", request)
            self.look_at(record.key, state)
            return answered(record, operation)

        return self.until_written(name, now, request, end)


def _id_of(session: str, request: Request) -> str:
    """The id of a session in the state table. Different callers have different sessions, also if
    they give them the same name."""
    if not _NAME.fullmatch(session):
        raise InvalidField("session", "1 to 64 letters, digits and ._:- are allowed")
    text = json.dumps([request.identity, session])
    return hashlib.sha256(text.encode()).hexdigest()[:16]
