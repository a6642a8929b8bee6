"""Where a stack is deployed and how its things are called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from cdktf import TerraformElement

Element = TypeVar("Element", bound=TerraformElement)


@dataclass(frozen=True, slots=True)
class Deployment:
    """`account_id` and `partition` are Terraform references, the rest is literal. `key_arn` is the
    customer's KMS key for all that is stored; without one each service encrypts with its own."""

    prefix: str
    region: str
    account_id: str
    partition: str
    key_arn: str | None = None

    @property
    def stack_tag(self) -> str:
        """The value of the tag `endpoint-meter:stack`, by which a stack knows its endpoints."""
        return f"{self.prefix}-{self.region}"

    def name(self, thing: str) -> str:
        return f"{self.prefix}-{thing}"

    def arn(self, service: str, resource: str) -> str:
        return f"arn:{self.partition}:{service}:{self.region}:{self.account_id}:{resource}"


def addressed(element: Element, logical_id: str) -> Element:
    """Give `element` the Terraform address `type.logical_id` instead of one made of its path.

    Addresses are what people read in a plan. They are public: Terraform destroys and creates
    anew what changes its address.
    """
    element.override_logical_id(logical_id)
    return element
