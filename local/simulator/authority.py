"""Asks the emulator's IAM whether a call is allowed."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local.simulator.errors import NO_IAM, ApiError
from local.simulator.permissions import Need

KEPT_SECONDS = 3.0
"""How long an answer is cached. Policy changes take a moment on AWS too."""
MOST_KEPT = 20_000

log = logging.getLogger(__name__)


class Authority:
    """Caches each answer of IAM for `KEPT_SECONDS`. Thread-safe."""

    def __init__(self, iam: Any) -> None:
        self._iam = iam
        self._lock = threading.Lock()
        self._answers: dict[tuple[str, Need], tuple[float, str]] = {}

    def check(self, session: str | None, needs: Iterable[Need]) -> None:
        """Raises ApiError if the session's role may not do all of it, or if IAM does not answer.
        `session` None is the root user."""
        if session is None:
            return
        for need in needs:
            decision = self._decision(session, need)
            if decision != "allowed":
                raise _refusal(session, need, explicitly=decision == "explicitDeny")

    def _decision(self, session: str, need: Need) -> str:
        key = (role_of(session), need)
        now = time.monotonic()
        with self._lock:
            known = self._answers.get(key)
        if known and known[0] > now:
            return known[1]
        decision = self._ask_iam(*key)
        with self._lock:
            if len(self._answers) >= MOST_KEPT:
                self._answers.clear()
            self._answers[key] = (now + KEPT_SECONDS, decision)
        return decision

    def _ask_iam(self, role_arn: str, need: Need) -> str:
        try:
            answer = self._iam.simulate_principal_policy(
                PolicySourceArn=role_arn,
                ActionNames=[need.action],
                ResourceArns=[need.resource],
                ContextEntries=[_entry(key, values) for key, values in need.context],
            )
        except (BotoCoreError, ClientError) as error:
            log.warning("%s of %s: no decision from IAM: %s", need.action, role_arn, error)
            raise NO_IAM.error() from error
        decision: str = answer["EvaluationResults"][0]["EvalDecision"]
        return decision


def role_of(session: str) -> str:
    """The ARN of a session's role."""
    account, role = session.split(":")[4], session.split("/")[1]
    return f"arn:aws:iam::{account}:role/{role}"


def _entry(key: str, values: tuple[str, ...]) -> dict[str, Any]:
    kind = "stringList" if key == "aws:TagKeys" else "string"
    return {"ContextKeyName": key, "ContextKeyValues": list(values), "ContextKeyType": kind}


def _refusal(session: str, need: Need, *, explicitly: bool) -> ApiError:
    because = (
        "with an explicit deny in an identity-based policy"
        if explicitly
        else f"because no identity-based policy allows the {need.action} action"
    )
    return need.wording.error(
        session=session, action=need.action, resource=need.resource, because=because
    )
