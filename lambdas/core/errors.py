"""All errors that the core raises.

MeterError
├── InvalidField            a value breaks a rule; names the field
├── UnknownEndpoint         there is no spec of that name
├── SpecUnreadable          the endpoint is new, and this code cannot read its spec
├── ScopeMissing            the token may not do this, or not with this endpoint
├── NameTaken               the name belongs to something else
├── NotAdoptable            the config does not let this endpoint be adopted
├── ConfigNotAddable        the config does not let this endpoint config be added
├── TooManyAdded            the limit of endpoints added over the API is reached
├── TooManyAddedToday       the token has used up its adds of today
├── UnknownEndpointConfig   SageMaker has no such endpoint config
├── ConfigOwned             the deployed config owns this: change it there
├── LeaseTooLong            the lease would be longer than its maximum
├── TooManySessions         the endpoint has as many sessions as may live at once
├── NotInService            the change needs an endpoint that is InService
├── IdempotencyConflict     the key was used for another request
├── Denied                  no token, or one that allows nothing (the caller is not told why)
├── Draining                the stack is being destroyed
├── NotServing              the endpoint of the called model does not run
│   ├── EndpointStopped
│   └── EndpointStarting
├── AsyncApiDisabled        the config does not let the model be called asynchronously
├── UnknownExecution        no asynchronous call of that ARN
├── NotYourExecution        another caller started it
├── Busy                    too many concurrent writes: nothing was changed, try again
├── Locked                  another reconcile holds the endpoint (internal)
├── Conflict                a conditional write found another revision (internal)
└── AwsRefused              SageMaker or another service refused a call
    ├── Throttled
    ├── Unanswered
    ├── AlreadyExists
    ├── Gone
    └── InProgress
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta

_LONGEST_NAME = 63


class MeterError(Exception):
    """Base of all errors that the meter raises on purpose. `str()` is a sentence for users."""


class InvalidField(MeterError):
    """A value breaks a rule. `field` is its path. The message says what is right."""

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(f"{field}: {sentence}")
        self.field = field
        self.sentence = sentence


NOT_A_PAGE = "is not a page token of this API: send the X-Next of the page before, unchanged"


class UnknownEndpoint(MeterError):
    def __init__(self, name: str) -> None:
        super().__init__(
            f"No endpoint named '{name}' is on the meter. GET /endpoint-expiry lists them; "
            "POST /endpoint-expiry with an EndpointConfigName adds one."
        )


class SpecUnreadable(MeterError):
    def __init__(self, name: str, why: str) -> None:
        super().__init__(
            f"The spec of '{name}' cannot be read ({why}), and the endpoint is new. If a deploy is "
            "under way, ask again once it is through; else deploy again."
        )


class ScopeMissing(MeterError):
    def __init__(self, scope: str, endpoint: str | None = None) -> None:
        of = f" for the endpoint '{endpoint[:_LONGEST_NAME]}'" if endpoint is not None else ""
        super().__init__(
            f"This token lacks the scope '{scope}'{of}. Whoever runs the stack can hand out one "
            "that has it (make token)."
        )


class NameTaken(MeterError):
    """The name is in use: in another case, with another config, or by an endpoint that is not
    ours."""


class NotAdoptable(MeterError):
    def __init__(self, name: str) -> None:
        super().__init__(
            f"The stack does not adopt '{name}': its config lists which endpoints it may adopt "
            "(adoptable). Add the name or a pattern of it there and deploy."
        )


class ConfigNotAddable(MeterError):
    def __init__(self, config_name: str) -> None:
        super().__init__(
            f"Endpoints with the config '{config_name}' are not to be added over the API: the "
            "stack's config lists those that are (addable_configs)."
        )


class TooManyAdded(MeterError):
    def __init__(self, most: int) -> None:
        super().__init__(
            f"{most} endpoints were added over the API, as many as may be at once "
            "(max_added_endpoints). Forget one that is no longer needed: DELETE /endpoint-expiry "
            "with EndpointName and forget=true."
        )


class TooManyAddedToday(MeterError):
    """`retry_after_seconds` is the time until the next day (UTC) begins, rounded up."""

    def __init__(self, most: int, now: datetime) -> None:
        super().__init__(
            f"This token has added {most} endpoints today, as many as it may in a day (UTC; "
            "max_added_per_token_per_day). Renewing those that are there is not limited by this."
        )
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        self.retry_after_seconds = math.ceil((midnight - now).total_seconds())


class UnknownEndpointConfig(MeterError):
    def __init__(self, name: str) -> None:
        super().__init__(
            f"SageMaker has no endpoint config named '{name}' in this region; create it first."
        )


class ConfigOwned(MeterError):
    """The deployed config owns the endpoint: change it there and deploy."""


class LeaseTooLong(MeterError):
    def __init__(self, max_lease_minutes: int) -> None:
        super().__init__(
            f"At most {max_lease_minutes} minutes may be on the meter (max_lease_minutes); "
            "nothing was changed."
        )


class TooManySessions(MeterError):
    def __init__(self, most: int) -> None:
        super().__init__(
            f"{most} sessions pay for this endpoint, as many as may live at once. End one with "
            "DELETE /endpoint-expiry and its EndpointName and session, or renew without a session."
        )


class NotInService(MeterError):
    def __init__(self, name: str, status: str) -> None:
        super().__init__(
            f"'{name}' is {status}; weights and capacities are those of an endpoint that is "
            "InService. GET /endpoint-expiry tells when it is."
        )


class IdempotencyConflict(MeterError):
    def __init__(self) -> None:
        super().__init__(
            "This Idempotency-Key was used for a request with another body; use a new key."
        )


class Denied(MeterError):
    """The caller may do nothing. The reason is for the log and contains no token."""


class Draining(MeterError):
    def __init__(self) -> None:
        super().__init__("The stack is being destroyed: every endpoint is stopped and stays so.")


class NotServing(MeterError):
    """A model cannot be called now. `retry_after_seconds` says when to try again."""

    def __init__(self, sentence: str, retry_after_seconds: int) -> None:
        super().__init__(sentence)
        self.retry_after_seconds = retry_after_seconds


class EndpointStopped(NotServing):
    def __init__(self, name: str, retry_after_seconds: int) -> None:
        sentence = (
            f"'{name}' is stopped. Start it with POST /endpoint-expiry "
            f'{{"EndpointName": "{name}", "minutes": 60}} and call again once it is InService.'
        )
        super().__init__(sentence, retry_after_seconds)


class EndpointStarting(NotServing):
    def __init__(self, name: str, retry_after_seconds: int) -> None:
        super().__init__(f"'{name}' is being started; call again soon.", retry_after_seconds)


class AsyncApiDisabled(MeterError):
    def __init__(self, name: str) -> None:
        super().__init__(
            f"'{name}' takes no asynchronous calls: set async_api_enabled on its entry of the "
            "config and deploy."
        )


class UnknownExecution(MeterError):
    def __init__(self) -> None:
        super().__init__(
            "There is no such execution; send the executionArn that POST /startexecution answered."
        )


class NotYourExecution(MeterError):
    def __init__(self) -> None:
        super().__init__("Only the token that started an execution may read it.")


class Busy(MeterError):
    def __init__(self) -> None:
        super().__init__("Too many changes to this endpoint at once; nothing was changed. Retry.")


class Conflict(MeterError):
    """The condition of a write failed: somebody else wrote after the load."""


class Locked(MeterError):
    """Another reconcile holds the lock of the endpoint, until `until` at most."""

    def __init__(self, until: datetime) -> None:
        super().__init__(f"locked until {until.isoformat()}")
        self.until = until


class AwsRefused(MeterError):
    """An AWS service refused a call. The reasons that matter to the core are subclasses."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class Throttled(AwsRefused):
    """Too many calls. The call did nothing; try again later."""


class Unanswered(AwsRefused):
    """There was no answer: the call may or may not have worked."""


class AlreadyExists(AwsRefused):
    """CreateEndpoint found the name in use, in any status."""


class Gone(AwsRefused):
    """The endpoint does not exist."""


class InProgress(AwsRefused):
    """SageMaker is changing the endpoint, and accepts no other operation now."""
