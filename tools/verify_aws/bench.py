"""Where questions make what they need. Whatever was made here is removed at the end."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self, TypeVar

from botocore.exceptions import ClientError

from constructs_lib.policy import Statement, policy_document, resource_document, trust_document
from tools.verify_aws import kinds
from tools.verify_aws.aws import Aws, NotInTime
from tools.verify_aws.kinds import Kind

_SETTLING_SECONDS = 120.0
"""IAM tells the other services of a new role within seconds, mostly."""
_NOT_YET = ("assume", "Could not access", "does not have permissions")
"""In the refusals of services that do not know a new role or its policy yet."""
_RUNTIME = "python3.13"
Made = TypeVar("Made")


class Bench:
    """Makes things whose names begin with `name`, and removes them in reverse order on exit.
    `left` lists what could not be removed."""

    def __init__(self, aws: Aws, name: str, say: Callable[[str], None], image: str = "") -> None:
        """`image` is that of the model; empty: a public one of AWS in the region."""
        self.aws = aws
        self.name = name
        self.image = image
        self.left: list[str] = []
        self._say = say
        self._removals = ExitStack()
        self._made: dict[tuple[str, str], Any] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._made:
            self._say("removing what was made …")
        self._removals.close()

    def make(self, kind: Kind, what: str, create: Callable[[str], Made]) -> Made:
        """What `create` makes of a name; the same, if it was made before. A service that does not
        know a new role yet is asked again."""
        name = f"{self.name}-{what}"
        if (kind.noun, name) not in self._made:
            if kind.logs:  # AWS makes them, and they go after what writes them
                self._removals.callback(self._remove, kinds.LOGS, f"{kind.logs}/{name}")
            # Before it is made: it may exist although the answer was lost.
            self._removals.callback(self._remove, kind, name)
            self._made[kind.noun, name] = self.settled(lambda: create(name))
        made: Made = self._made[kind.noun, name]
        return made

    def settled(self, call: Callable[[], Made]) -> Made:
        """The answer of `call`, once the roles that it needs are known everywhere."""
        refused: list[ClientError] = []

        def attempt() -> tuple[Made] | None:
            try:
                return (call(),)
            except ClientError as error:
                if not any(words in str(error) for words in _NOT_YET):
                    raise
                refused.append(error)
                return None

        try:
            return self.aws.until("what a new role allows", attempt, _SETTLING_SECONDS)[0]
        except NotInTime:
            raise refused[-1] from None

    def _remove(self, kind: Kind, name: str) -> None:
        try:
            kind.remove(self.aws, name)
        # Whatever it is, the rest is removed.
        except Exception as error:  # noqa: BLE001
            self.left.append(f"{kind.noun} {name}: {error}")

    def role(self, what: str, service: str, statements: Iterable[Statement] = ()) -> str:
        """The ARN of a role for `service`."""
        iam = self.aws.client("iam")

        def create(name: str) -> str:
            trust = trust_document(service)
            made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)
            allowed = policy_document(statements)
            if json.loads(allowed)["Statement"]:
                iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=allowed)
            arn: str = made["Role"]["Arn"]
            return arn

        return self.make(kinds.ROLE, what, create)

    def queue(self, what: str, *allowed: Mapping[str, object]) -> str:
        """The URL of a queue. `allowed` are statements of its policy."""
        policy = {"Policy": resource_document(*allowed)} if allowed else {}
        sqs = self.aws.client("sqs")
        url: str = self.make(
            kinds.QUEUE,
            what,
            lambda name: sqs.create_queue(QueueName=name, Attributes=policy)["QueueUrl"],
        )
        return url

    def function(
        self,
        what: str,
        code: str,
        statements: Iterable[Statement] = (),
        *,
        seconds: int = 60,
        variables: Mapping[str, str] | None = None,
    ) -> str:
        """The name of a function of this code, with a role of its own."""
        role = self.role(what, "lambda.amazonaws.com", statements)
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("code.py", code)
        functions = self.aws.client("lambda")

        def create(name: str) -> str:
            functions.create_function(
                FunctionName=name,
                Runtime=_RUNTIME,
                Role=role,
                Handler="code.handler",
                Code={"ZipFile": packed.getvalue()},
                Timeout=seconds,
                Environment={"Variables": dict(variables or {})},
            )
            functions.get_waiter("function_active_v2").wait(FunctionName=name)
            return name

        return self.make(kinds.FUNCTION, what, create)

    def call(self, function: str, event: object) -> Any:
        """What the function returns. Raises RuntimeError with what it raised."""
        answer = self.aws.client("lambda").invoke(
            FunctionName=function, Payload=json.dumps(event).encode()
        )
        returned = json.loads(answer["Payload"].read())
        if answer.get("FunctionError"):
            raise RuntimeError(f"{function} failed: {returned.get('errorMessage', returned)}")
        return returned
