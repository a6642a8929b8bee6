"""What MiniStack's IAM decides about an action of a role. Not a patch; two patches use it."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

evaluator: Any = import_module("ministack.core.iam_evaluator")
iam: Any = import_module("ministack.services.iam")
responses: Any = import_module("ministack.core.responses")


def role_of(arn: str) -> Any:
    """MiniStack's record of the role, or None."""
    return iam._roles.get_scoped(_account(arn), None, _name(arn))


def iam_request(arn: str, action: str, resource: str, context: Mapping[str, Any]) -> Any:
    """A request of the role, in the form that the evaluator takes. `context` has condition keys in
    lower case."""
    return evaluator.EvalContext(
        principal_arn=arn,
        principal_type="AssumedRole",
        principal_account=_account(arn),
        action=action,
        resource_arn=resource,
        region=responses.get_region(),
        service_context=dict(context),
    )


def decision(arn: str, request: Any) -> str:
    """`Allow`, `Deny` or `ImplicitDeny`, by the role's policies and permissions boundary."""
    policies = evaluator._gather_role_policies(_name(arn), _account(arn))
    limits = evaluator._permissions_boundary(iam._roles, _name(arn), _account(arn))
    answer: str = evaluator.evaluate(request, policies, *limits).decision
    return answer


def _account(arn: str) -> str:
    return arn.split(":")[4] or str(responses.get_account_id())


def _name(arn: str) -> str:
    return arn.rpartition("/")[2]
