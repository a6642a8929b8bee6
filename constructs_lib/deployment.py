"""Where a stack is deployed and how its resources are named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from constructs_lib.canonical import digest
from constructs_lib.role_names import DIGEST_LENGTH, LENGTH, role_start
from lambdas.core.settings import METRICS_NAMESPACE

if TYPE_CHECKING:  # names alone can be asked for without CDKTF, which takes seconds to load
    from cdktf import TerraformElement

API_FAILURES_METRIC = "ApiFailures"
_BUCKET_NAME_LENGTH, _ACCOUNT_ID_LENGTH = 63, 12
_PATH_DIGITS = 4
Element = TypeVar("Element", bound="TerraformElement")


@dataclass(frozen=True, slots=True)
class Deployment:
    """`account_id`, `partition` and `dns_suffix` (such as amazonaws.com) are Terraform references;
    the rest is literal. `stack_tag` is the value of the tag `endpoint-meter:stack`, which marks the
    endpoints of this stack. `key_arn` is the customer's KMS key for all stored data. Without it,
    each service uses its own key. `former_key_arns` are keys under which something may still lie.
    `tags` are on all that can have tags. Every role has the `role_boundary`, is at the `role_path`,
    and has a name that begins with `role_prefix`.
    """

    prefix: str
    region: str
    stack_tag: str
    account_id: str
    partition: str
    dns_suffix: str
    key_arn: str | None = None
    former_key_arns: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    role_boundary: str | None = None
    role_path: str | None = None
    role_prefix: str = ""

    def name(self, thing: str) -> str:
        return f"{self.prefix}-{thing}"

    def role_name(self, thing: str) -> str:
        """The name of a role. Roles are global, so it has the region: the stacks of one prefix in
        two regions are two (docs/decisions/0106). IAM allows 64 characters, and a name once in an
        account, whatever the path: a role with another path gets another name, so that the new one
        can be made before the old one goes (docs/decisions/0121)."""
        end = f"-{digest(self.role_path)[:_PATH_DIGITS]}" if self.role_path else ""
        start = role_start(self.prefix, self.region, self.role_prefix)
        return fitting(f"{start}{thing}{end}", LENGTH)

    @property
    def roles_arn(self) -> str:
        """The pattern of the ARNs of all roles of the stack."""
        start = role_start(self.prefix, self.region, self.role_prefix)
        path = self.role_path or "/"
        return f"arn:{self.partition}:iam::{self.account_id}:role{path}{start}*"

    def bucket_name(self, thing: str) -> str:
        """The name of a bucket: globally unique, in lower case, at most 63 characters."""
        fixed = len(f"-{self.region}-{thing}") + len("-") + _ACCOUNT_ID_LENGTH
        prefix = fitting(self.prefix.lower(), _BUCKET_NAME_LENGTH - fixed)
        return f"{prefix}-{self.region}-{self.account_id}-{thing}"

    @property
    def metrics_namespace(self) -> str:
        """The namespace of metrics that have no dimension for the stack."""
        return f"{METRICS_NAMESPACE}/{self.prefix}"

    def arn(self, service: str, resource: str) -> str:
        return f"arn:{self.partition}:{service}:{self.region}:{self.account_id}:{resource}"

    def repository_arn(self, image: str) -> str:
        """The repository of `{account}.dkr.ecr.{region}.amazonaws.com/{repository}:{tag}`, where
        the tag or the digest may be missing."""
        registry, _, path = image.partition("/")
        account, _, _, region, *_ = registry.split(".")
        repository = path.partition("@")[0].partition(":")[0]
        return f"arn:{self.partition}:ecr:{region}:{account}:repository/{repository}"


def fitting(name: str, most: int) -> str:
    """The name, if it has at most `most` characters. Else its beginning and a digest of it."""
    if len(name) <= most:
        return name
    end = digest(name)[:DIGEST_LENGTH]
    return f"{name[: most - len(end) - 1]}-{end}"


def addressed(element: Element, logical_id: str) -> Element:
    """Give `element` the Terraform address `type.logical_id` instead of one built from its path.

    People read these addresses in a plan. They are a public interface: if an address changes,
    Terraform destroys the resource and creates a new one.
    """
    element.override_logical_id(logical_id)
    return element
