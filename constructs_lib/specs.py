"""The declared endpoints as items of the state table, and the calls of the sweep about them.

Terraform keeps this order (docs/decisions/0011 says how it was tested):


    new configs, functions -> items -> sync -> waits -> verdict -> settled -> old configs destroyed

On destroy it goes backwards: `settled`, the waits, then `sync`. The delete of `sync` stops every
endpoint before any function, queue or table is destroyed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from cdktf import (
    DataResource,
    LocalExecProvisioner,
    Op,
    Precondition,
    TerraformResource,
    TerraformResourceLifecycle,
)
from cdktf_cdktf_provider_aws.dynamodb_table_item import DynamodbTableItem
from cdktf_cdktf_provider_aws.lambda_invocation import LambdaInvocation
from constructs import Construct

from constructs_lib.canonical import canonical, digest
from constructs_lib.deployment import addressed
from constructs_lib.hosted_model import HostedModel
from constructs_lib.python_function import PythonFunction
from constructs_lib.tables import StateTable
from lambdas.core.deploys import WAIT_LIMIT
from lambdas.core.names import PK_PREFIX
from lambdas.core.rollout import UpdatePolicy
from lambdas.core.spec import Spec

PATIENCE = timedelta(minutes=40)
"""If instances are not available or fail their health checks, SageMaker gives up after about half
an hour and rolls back."""
_REFUSAL = (
    'echo \'Nothing was destroyed: set "deletion_protection": false in the config, deploy, '
    "and destroy again.' >&2; exit 1"
)


@dataclass(frozen=True, slots=True)
class DeclaredEndpoint:
    """`spec` (without its hash), the endpoint config that it runs, and its fallbacks."""

    spec: Spec
    hosted: HostedModel
    fallbacks: Sequence[HostedModel] = ()

    def whole(self) -> Spec:
        return replace(self.spec, spec_hash=digest(self.spec.document()))


class Specs(Construct):
    """`readers` are the resources of the functions that read specs. `prepared` is everything that a
    function needs to run: `sync` is created after it and destroyed before it. `protected` is
    the stack tag if the stack is protected from its end."""

    def __init__(
        self,
        scope: Construct,
        *,
        table: StateTable,
        sweep: PythonFunction,
        endpoints: Sequence[DeclaredEndpoint],
        readers: Sequence[TerraformResource],
        prepared: Sequence[TerraformResource],
        protected: str | None,
    ) -> None:
        super().__init__(scope, "specs")
        items = [self._item(table, endpoint, readers) for endpoint in endpoints]
        manifest = {e.spec.name: e.spec.endpoint_config_name for e in endpoints}
        specs = digest([endpoint.whole().spec_hash for endpoint in endpoints])
        sync = addressed(
            LambdaInvocation(
                self,
                "sync",
                # A literal: if it changed, Terraform would replace the invocation, and that would
                # stop every endpoint. A test pins name and address.
                function_name=sweep.name,
                input=_event("sync", manifest, specs=specs),
                lifecycle_scope="CRUD",
                depends_on=[*prepared, *items],
            ),
            "sync",
        )
        event = _event("wait", manifest, specs=specs)
        waited = self._wait(event, sweep, sync, wait_count([e.spec for e in endpoints]))
        settled = self._settle(manifest, endpoints, sweep, waited)
        if protected:
            self._protect(protected, settled)

    def _item(
        self,
        table: StateTable,
        endpoint: DeclaredEndpoint,
        readers: Sequence[TerraformResource],
    ) -> DynamodbTableItem:
        """The item of a spec. It is written after its readers run the new code, because older code
        may not understand a newer spec (docs/decisions/0092)."""
        spec = endpoint.whole()
        values = {
            "pk": PK_PREFIX + spec.key,
            "sk": spec.origin.value,
            **spec.document(),
            # a reference, so that the config exists before the item and outlives it
            "endpoint_config_name": endpoint.hosted.resource.name,
        }
        return addressed(
            DynamodbTableItem(
                self,
                f"{spec.name}-item",
                table_name=table.resource.name,
                hash_key="pk",
                range_key="sk",
                item=canonical({key: _typed(value) for key, value in values.items()}),
                depends_on=[*readers, *(fallback.resource for fallback in endpoint.fallbacks)],
            ),
            spec.name,
        )

    def _wait(
        self, event: str, sweep: PythonFunction, after: LambdaInvocation, count: int
    ) -> LambdaInvocation:
        """Wait for the rollout `count` times in sequence; returns the last wait. Each wait ends as
        soon as the rollout is done."""
        for number in range(1, count + 1):
            name = "wait" if number == 1 else f"wait-{number}"
            after = addressed(
                LambdaInvocation(
                    self,
                    name,
                    function_name=sweep.name,
                    input=event,
                    lifecycle_scope="CRUD",
                    depends_on=[after],
                ),
                name.replace("-", "_"),
            )
        return after

    def _settle(
        self,
        manifest: Mapping[str, str],
        endpoints: Sequence[DeclaredEndpoint],
        sweep: PythonFunction,
        waited: LambdaInvocation,
    ) -> DataResource:
        """Fail the deploy while a running endpoint serves a config outside the manifest.

        Creating `verdict` asks the sweep, once for each set of configs. While the answer is no,
        Terraform's state has no `verdict`, so each apply asks again; a plan never asks. The old
        configs wait for `settled`, which depends on them until it is updated (docs/decisions/0015).
        """
        configs = digest({e.spec.name: list(e.spec.configs()) for e in endpoints})
        verdict = addressed(
            LambdaInvocation(
                self,
                "verdict",
                function_name=sweep.name,
                input=_event("settle", manifest, configs=configs),
                lifecycle_scope="CREATE_ONLY",
                depends_on=[waited],
            ),
            "verdict",
        )
        return addressed(
            DataResource(self, "settled", input={"configs": configs}, depends_on=[verdict]),
            "settled",
        )

    def _protect(self, stack_tag: str, settled: DataResource) -> None:
        """Refuse the end of the stack before anything is touched: a plan that would replace it by
        another one, and `terraform destroy`.

        Protected tables would make both fail too, but at the end, when every endpoint is stopped
        and the functions are destroyed. Terraform remembers in `stack` which stack this is. A
        trigger in `protected` itself would refuse the first deploy of this version over an earlier
        one. The provisioner only runs on a destroy. When the protection is switched off, both
        resources are removed from the config, and that refuses nothing.
        """
        stack = addressed(
            DataResource(
                self,
                "stack",
                input={"tag": stack_tag},
                lifecycle=TerraformResourceLifecycle(ignore_changes=["input"]),
            ),
            "stack",
        )
        remembered = stack.get_string_attribute("input.tag")
        same = Precondition(
            condition=Op.eq(remembered, stack_tag),
            error_message=(
                f"Nothing was changed: this state holds the stack {remembered}, and the config "
                f"describes {stack_tag}. Terraform would stop every endpoint of the first and "
                "destroy it. Put project_prefix and region_name back, or give the other stack a "
                "state of its own."
            ),
        )
        addressed(
            DataResource(
                self,
                "protected",
                depends_on=[settled],
                lifecycle=TerraformResourceLifecycle(precondition=[same]),
                provisioners=[
                    LocalExecProvisioner(type="local-exec", when="destroy", command=_REFUSAL)
                ],
            ),
            "protected",
        )


def wait_count(specs: Sequence[Spec]) -> int:
    """The number of waits that the longest update may need (docs/decisions/0058)."""
    longest = max((UpdatePolicy(spec.update).longest() for spec in specs), default=timedelta())
    return -(-(longest + PATIENCE) // WAIT_LIMIT)


def _event(action: str, manifest: Mapping[str, str], **more: str) -> str:
    return canonical({"action": action, "manifest": dict(manifest), **more})


def _typed(value: str | int) -> dict[str, str]:
    """A value in DynamoDB JSON."""
    return {"N": str(value)} if isinstance(value, int) else {"S": value}
