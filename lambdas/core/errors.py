"""All errors that the core raises.

MeterError
├── InvalidField            a value breaks a rule; names the field
├── UnknownEndpoint         there is no spec of that name
├── SpecUnreadable          the endpoint is new, and this code cannot read its spec
├── ScopeMissing            the token may not do this, or not with this endpoint
├── NameTaken               the name belongs to something else
│   ├── DiffersInCase       an endpoint on the meter has this name in another case
│   ├── OtherConfig         the endpoint on the meter has another config
│   └── NotOurs             a live endpoint of that name is not this stack's
│       ├── NotAdopted      it can be adopted
│       ├── NotYetAdoptable it can be adopted once it is InService
│       ├── Ignored         its tag endpoint-meter:ignore keeps it off the meter
│       └── OfAnotherStack  another stack has it on its meter
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
├── AsyncApiDisabled        the endpoint does not take asynchronous calls
│   └── AsyncApiNotChosen
├── UnknownExecution        no asynchronous call of that ARN
├── NotYourExecution        another caller started it
├── Busy                    too many concurrent writes: nothing was changed, try again
├── Locked                  another reconcile holds the endpoint (internal)
├── Conflict                a conditional write found another revision (internal)
└── AwsRefused              SageMaker or another service refused a call
    ├── Throttled
    ├── Unanswered
    ├── AwsDenied
    ├── AlreadyExists
    ├── Gone
    └── InProgress

Each class that callers see has an `advice`. A test does what each advises.
"""

from __future__ import annotations

import math
import shlex
from datetime import datetime, timedelta
from string import Template


class MeterError(Exception):
    """Base of all errors that the meter raises on purpose. `str()` is for users: what happened,
    and the advice.

    `advice` is what helps: a call or a change, and who can do it if the caller cannot. In a class
    it is a template of `string.Template`, to which each error gives its facts. Words in capital
    letters stand for what only the caller knows. Internal errors have none.
    """

    advice = ""

    def __init__(self, happened: str = "", **facts: object) -> None:
        self.advice = Template(type(self).advice).substitute(facts)
        super().__init__(" ".join(part for part in (happened, self.advice) if part))

    def for_users(self, *, changes: bool) -> str:  # noqa: ARG002 (of errors of AWS)
        """The sentence of the answer. `changes`: the request was one that changes something."""
        return str(self)


class InvalidField(MeterError):
    """A value breaks a rule. `field` is its path. `sentence` says what is right."""

    advice = "$sentence"

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(f"{field}:", sentence=sentence)
        self.field = field
        self.sentence = sentence


NOT_A_PAGE = "is not a page token of this API: send the X-Next of the page before, unchanged"


class UnknownEndpoint(MeterError):
    advice = (
        "GET /endpoint-expiry lists them; POST /endpoint-expiry "
        '{"EndpointName": "$name", "EndpointConfigName": CONFIG, "minutes": 60} adds it '
        "(scope add)."
    )

    def __init__(self, name: str) -> None:
        super().__init__(f"No endpoint named '{name}' is on the meter.", name=name)


class SpecUnreadable(MeterError):
    advice = "If a deploy is under way, ask again once it is through; else deploy again."

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"The spec of '{name}' cannot be read ({why}).")


class ScopeMissing(MeterError):
    advice = "Whoever runs the stack can hand out one that has it: make token ARGS=$arguments."

    def __init__(self, scope: str, endpoint: str | None = None) -> None:
        of = f" for the endpoint '{endpoint}'" if endpoint is not None else ""
        needed = scope if endpoint is None else f"{scope}:{endpoint}"
        command = f"create --name NAME --scopes {shlex.quote(needed)} --days 30"
        # Whoever runs the stack pastes it, and the name is the caller's. `$` is for make.
        arguments = shlex.quote(command.replace("$", "$$"))
        super().__init__(f"This token lacks the scope '{scope}'{of}.", arguments=arguments)


class NameTaken(MeterError):
    """The name is in use by something else."""


class DiffersInCase(NameTaken):
    advice = "Send '$known', or choose another name."

    def __init__(self, name: str, known: str) -> None:
        super().__init__(
            f"'{name}' differs only in case from '{known}', which is on the meter; SageMaker takes "
            "both for the same endpoint.",
            known=known,
        )


class OtherConfig(NameTaken):
    """`config_name` is the one that the endpoint on the meter has."""

    advice = (
        'Renew it with POST /endpoint-expiry {"EndpointName": "$name", "minutes": 60}, move it '
        'with POST /endpoint-update {"EndpointName": "$name", "EndpointConfigName": CONFIG} '
        "(scope manage), or choose another name."
    )

    def __init__(self, name: str, config_name: str) -> None:
        super().__init__(f"'{name}' is on the meter with config '{config_name}'.", name=name)


class NotOurs(NameTaken):
    """A live endpoint of that name is not this stack's, and the meter does not act on it. Callers
    who may not adopt learn no more: neither its owner nor its config."""

    advice = (
        "Somebody with the scope 'manage' may be able to adopt it, or its owner can delete it; "
        "else choose another name."
    )

    def __init__(self, name: str, what: str = "is not this stack's", **facts: str) -> None:
        super().__init__(f"The live endpoint '{name}' {what}.", name=name, **facts)


class NotAdopted(NotOurs):
    advice = (
        'Adopt it with POST /endpoint-expiry {"EndpointName": "$name", "EndpointConfigName": '
        '"$config", "minutes": 60, "adopt": true} (scope manage), or delete it in SageMaker; else '
        "choose another name."
    )

    def __init__(self, name: str, served: str, wanted: str | None = None) -> None:
        what = f"was not made by this stack; it runs config '{served}'"
        other = f", and is to run '{wanted}'" if wanted not in (None, served) else ""
        super().__init__(name, what + other, config=wanted or served)


class NotYetAdoptable(NotOurs):
    advice = (
        "It can be adopted once it is InService; once it is gone, the name is free. Else choose "
        "another name."
    )

    def __init__(self, name: str, status: str) -> None:
        super().__init__(name, f"was not made by this stack and is {status}")


class Ignored(NotOurs):
    advice = (
        "Its owner can take that tag off, and then it can be adopted, or delete it in SageMaker; "
        "else choose another name."
    )

    def __init__(self, name: str) -> None:
        super().__init__(name, "carries the tag endpoint-meter:ignore")


class OfAnotherStack(NotOurs):
    advice = "Once that stack has stopped it, the name is free; else choose another name."

    def __init__(self, name: str) -> None:
        super().__init__(name, "belongs to another stack")


class NotAdoptable(MeterError):
    advice = (
        "Whoever deploys can add the name, or a pattern of it, to adoptable in the stack's config."
    )

    def __init__(self, name: str) -> None:
        super().__init__(f"The config of the stack does not let '{name}' be adopted (adoptable).")


class ConfigNotAddable(MeterError):
    advice = (
        "Whoever deploys can add the config, or a pattern of it, to addable_configs in the stack's "
        "config."
    )

    def __init__(self, config_name: str) -> None:
        super().__init__(
            f"The config of the stack does not let endpoints with the config '{config_name}' be "
            "added over the API (addable_configs)."
        )


class TooManyAdded(MeterError):
    advice = (
        "Forget one that is no longer needed with DELETE "
        "/endpoint-expiry?EndpointName=NAME&forget=true."
    )

    def __init__(self, most: int) -> None:
        super().__init__(
            f"{most} endpoints were added over the API, as many as may be at once "
            "(max_added_endpoints)."
        )


class TooManyAddedToday(MeterError):
    """`retry_after_seconds` is the time until the next day (UTC) begins, rounded up."""

    advice = (
        "Try again after Retry-After, tomorrow (UTC). Renewing those that are there is not "
        "limited by this."
    )

    def __init__(self, most: int, now: datetime) -> None:
        super().__init__(
            f"This token has added {most} endpoints today, as many as it may in a day "
            "(max_added_per_token_per_day)."
        )
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        self.retry_after_seconds = math.ceil((midnight - now).total_seconds())


class UnknownEndpointConfig(MeterError):
    advice = "Create it in SageMaker first, or name another one."

    def __init__(self, name: str) -> None:
        super().__init__(f"SageMaker has no endpoint config named '{name}' in this region.")


class ConfigOwned(MeterError):
    """The deployed config owns the endpoint."""

    advice = "Whoever deploys can change its entry in the config, or take it out, and deploy."

    def __init__(self, name: str) -> None:
        super().__init__(f"'{name}' and its settings come from the deployed config.")


class LeaseTooLong(MeterError):
    advice = "Ask for less, or again when less is left."

    def __init__(self, max_lease_minutes: int) -> None:
        super().__init__(
            f"A lease may end {max_lease_minutes} minutes from now at the latest "
            "(max_lease_minutes); nothing was changed."
        )


class TooManySessions(MeterError):
    advice = (
        "End one with DELETE /endpoint-expiry?EndpointName=$name&session=SESSION, or renew without "
        'one: POST /endpoint-expiry {"EndpointName": "$name", "minutes": 60}.'
    )

    def __init__(self, name: str, most: int) -> None:
        super().__init__(
            f"{most} sessions pay for '{name}', as many as may live at once.", name=name
        )


class NotInService(MeterError):
    advice = (
        "Wait until GET /endpoint-expiry?EndpointName=$name says InService; if it is stopped, "
        'start it with POST /endpoint-expiry {"EndpointName": "$name", "minutes": 60}.'
    )

    def __init__(self, name: str, status: str) -> None:
        super().__init__(
            f"'{name}' is {status}; weights and capacities are those of an endpoint that is "
            "InService.",
            name=name,
        )


class IdempotencyConflict(MeterError):
    advice = "Use a new key."

    def __init__(self) -> None:
        super().__init__("This Idempotency-Key was used for a request with another body.")


class Denied(MeterError):
    """The caller may do nothing. The reason is for the log and contains no token. The caller gets
    the answer of API Gateway."""


class Draining(MeterError):
    advice = "A deploy of the stack starts the meter again."

    def __init__(self) -> None:
        super().__init__("The stack is being destroyed: every endpoint is stopped and stays so.")


class NotServing(MeterError):
    """A model cannot be called now. `retry_after_seconds` says when to try again."""

    def __init__(self, happened: str, retry_after_seconds: int, **facts: str) -> None:
        super().__init__(happened, **facts)
        self.retry_after_seconds = retry_after_seconds


class EndpointStopped(NotServing):
    advice = (
        'Start it with POST /endpoint-expiry {"EndpointName": "$name", "minutes": 60} and call '
        "again once it is InService."
    )

    def __init__(self, name: str, retry_after_seconds: int) -> None:
        super().__init__(f"'{name}' is stopped.", retry_after_seconds, name=name)


class EndpointStarting(NotServing):
    advice = "Call again after Retry-After."

    def __init__(self, name: str, retry_after_seconds: int) -> None:
        super().__init__(f"'{name}' is being started.", retry_after_seconds)


class AsyncApiDisabled(MeterError):
    advice = "Whoever deploys can set async_api_enabled on its entry of the config."

    def __init__(self, name: str, **facts: str) -> None:
        super().__init__(f"'{name}' takes no asynchronous calls.", name=name, **facts)


class AsyncApiNotChosen(AsyncApiDisabled):
    """The endpoint was added over the API. `config` is the one that adding it again names."""

    advice = (
        'Send POST /endpoint-expiry {"EndpointName": "$name", "EndpointConfigName": "$config", '
        '"minutes": 10, "async_api": true}, with a token that has the scopes renew and add.'
    )

    def __init__(self, name: str, config: str) -> None:
        super().__init__(name, config=config)


class UnknownExecution(MeterError):
    advice = "Send the executionArn that POST /startexecution answered."

    def __init__(self) -> None:
        super().__init__("There is no such execution.")


class NotYourExecution(MeterError):
    advice = "Ask with the token that started it."

    def __init__(self) -> None:
        super().__init__("Only the token that started an execution may read it.")


class Busy(MeterError):
    advice = "Try again."

    def __init__(self) -> None:
        super().__init__("Too many changes to this endpoint at once; nothing was changed.")


class Conflict(MeterError):
    """The condition of a write failed: somebody else wrote after the load."""


class Locked(MeterError):
    """Another reconcile holds the lock of the endpoint, until `until` at most."""

    def __init__(self, until: datetime) -> None:
        super().__init__(f"locked until {until.isoformat()}")
        self.until = until


class AwsRefused(MeterError):
    """An AWS service refused a call. The reasons that matter to the core are subclasses. `str()` is
    for the log: users learn no details of AWS."""

    happened = "AWS did not carry this out."
    advice = "The log has the reason under the requestId, for whoever runs the stack."

    def __init__(self, code: str, message: str) -> None:
        super().__init__()
        self.args = (f"{code}: {message}",)
        self.code = code
        self.message = message

    def for_users(self, *, changes: bool) -> str:  # noqa: ARG002 (of one subclass)
        return f"{self.happened} {self.advice}"


class Throttled(AwsRefused):
    """Too many calls. The call did nothing; try again later."""

    happened = "AWS takes no more calls just now."
    advice = "Try again after Retry-After."


class Unanswered(AwsRefused):
    """There was no answer: the call may or may not have worked."""

    happened = "AWS did not answer in time."
    advice = (
        "This may or may not have happened. Look with GET /endpoint-expiry, or repeat it with the "
        "same Idempotency-Key; without one, a renewal that is repeated may count twice."
    )
    advice_on_reads = "Nothing was to be changed: ask again."
    advice_on_calls = (
        "The model may have run, and its endpoint may have been started: call again if the model "
        "may run twice."
    )

    def for_callers(self) -> str:
        """The sentence of the answer to a call of a model."""
        return f"{self.happened} {self.advice_on_calls}"

    def for_users(self, *, changes: bool) -> str:
        return f"{self.happened} {self.advice if changes else self.advice_on_reads}"


class Unavailable(AwsRefused):
    """The service could not be reached, or is out of order. Later it may do the same."""


class AwsDenied(AwsRefused):
    """The role of the function lacks a permission. No retry helps."""

    happened = "AWS denies the meter a permission that this needs."
    advice = (
        "Another try will not help; the log has the reason under the requestId, for whoever runs "
        "the stack."
    )


class AlreadyExists(AwsRefused):
    """CreateEndpoint found the name in use, in any status."""


class Gone(AwsRefused):
    """The endpoint does not exist."""


class InProgress(AwsRefused):
    """SageMaker is changing the endpoint, and accepts no other operation now."""
