"""Where a stack is deployed and how its resources are named."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from cdktf import TerraformElement

from lambdas.core.settings import METRICS_NAMESPACE

API_FAILURES_METRIC = "ApiFailures"
Element = TypeVar("Element", bound=TerraformElement)


@dataclass(frozen=True, slots=True)
class Deployment:
    """`account_id` and `partition` are Terraform references; the rest is literal. `stack_tag` is
    the value of the tag `endpoint-meter:stack`, which marks the endpoints of this stack. `key_arn`
    is the customer's KMS key for all stored data. Without it, each service uses its own key."""

    prefix: str
    region: str
    stack_tag: str
    account_id: str
    partition: str
    key_arn: str | None = None

    def name(self, thing: str) -> str:
        return f"{self.prefix}-{thing}"

    @property
    def metrics_namespace(self) -> str:
        """The namespace of metrics that have no dimension for the stack."""
        return f"{METRICS_NAMESPACE}/{self.prefix}"

    def arn(self, service: str, resource: str) -> str:
        return f"arn:{self.partition}:{service}:{self.region}:{self.account_id}:{resource}"


def addressed(element: Element, logical_id: str) -> Element:
    """Give `element` the Terraform address `type.logical_id` instead of one built from its path.

    People read these addresses in a plan. They are a public interface: if an address changes,
    Terraform destroys the resource and creates a new one.
    """
    element.override_logical_id(logical_id)
    return element
