"""Schedules, rules, queues and state machines can only do what their role allows.

MiniStack delivers without checking IAM. With this patch a denied action does not happen, as on AWS:
a schedule's call is dropped, messages stay in their queue, a task fails.
"""

import json
import sys
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from importlib import import_module
from typing import Any

from local.emulator.patches.role_rights import decision, iam_request, role_of

evaluator: Any = import_module("ministack.core.iam_evaluator")
eventbridge: Any = import_module("ministack.services.eventbridge")
lambda_svc: Any = import_module("ministack.services.lambda_svc")
stepfunctions: Any = import_module("ministack.services.stepfunctions")

DELIVERY = {
    "events": "events:PutEvents",
    "lambda": "lambda:InvokeFunction",
    "sns": "sns:Publish",
    "sqs": "sqs:SendMessage",
    "states": "states:StartExecution",
}
CONSUMPTION = ("sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage")

machine_role: ContextVar[str] = ContextVar("machine_role")
"""The ARN of the role of the state machine that runs the current task."""


def apply() -> None:
    """Check IAM before each of them acts."""
    eventbridge._invoke_target = _delivering(eventbridge._invoke_target)
    lambda_svc._iter_all_esms = _consuming(lambda_svc._iter_all_esms)
    stepfunctions._execute_task = _with_role(stepfunctions._execute_task)
    stepfunctions._call_lambda = _calling(stepfunctions._call_lambda)


def _delivering(invoke: Callable[..., Any]) -> Callable[..., Any]:
    def deliver(target: Any, event: Any, rule: Any, *more: Any) -> Any:
        role, arn = target.get("RoleArn"), target.get("Arn", "")
        action = DELIVERY.get(_part(arn, 2))
        if role and action:
            source = "scheduler" if event.get("Source") == "aws.scheduler" else "events"
            if not _may(role, f"{source}.amazonaws.com", action, arn):
                print(f"not delivered: {role} is not allowed {action} on {arn}", file=sys.stderr)
                return None
        return invoke(target, event, rule, *more)

    return deliver


def _consuming(mappings: Callable[[], Iterator[Any]]) -> Callable[[], Iterator[Any]]:
    def allowed_mappings() -> Iterator[Any]:
        for account, region, mapping in mappings():
            source = mapping.get("EventSourceArn", "")
            found = lambda_svc._get_func_record_for_qualifier(
                mapping["FunctionName"], mapping.get("Qualifier")
            )[0]
            if found is None or _part(source, 2) != "sqs":
                yield account, region, mapping
                continue
            role = found["config"]["Role"]
            if all(_may(role, "lambda.amazonaws.com", action, source) for action in CONSUMPTION):
                yield account, region, mapping

    return allowed_mappings


def _with_role(execute: Callable[..., Any]) -> Callable[..., Any]:
    def execute_with_role(state: Any, given: Any, execution: Any, context: Any) -> Any:
        machine = stepfunctions._state_machines.get(context["StateMachine"]["Id"], {})
        reset = machine_role.set(machine.get("roleArn", ""))
        try:
            return execute(state, given, execution, context)
        finally:
            machine_role.reset(reset)

    return execute_with_role


def _calling(call: Callable[..., Any]) -> Callable[..., Any]:
    def call_if_allowed(function: str, event: Any) -> Any:
        role, action = machine_role.get(), "lambda:InvokeFunction"
        config = lambda_svc._get_func_record_for_ref(function)[1] or {}
        arn = config.get("FunctionArn", function)
        if not _may(role, "states.amazonaws.com", action, arn):
            message = f"{role} is not authorized to perform: {action} on resource: {arn}"
            raise stepfunctions._ExecutionError("Lambda.AWSLambdaException", message)
        return call(function, event)

    return call_if_allowed


def _may(role_arn: str, service: str, action: str, resource: str) -> bool:
    """Whether the role trusts the service and allows the action."""
    role = role_of(role_arn)
    if role is None:
        return False
    request = iam_request(role_arn, action, resource, {"aws:sourceaccount": _part(role_arn, 4)})
    trusted = any(
        evaluator._service_principal_matches(statement.get("Principal"), service)
        and evaluator._conditions_met(statement.get("Condition") or {}, request)
        for statement in json.loads(role["AssumeRolePolicyDocument"])["Statement"]
    )
    return trusted and decision(role_arn, request) == "Allow"


def _part(arn: str, index: int) -> str:
    """The service (2) or account (4) of an ARN; "" if it is not an ARN."""
    parts = arn.split(":")
    return parts[index] if index < len(parts) else ""
