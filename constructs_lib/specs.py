"""The declared endpoints as items of the state table, and the talk with the sweep about them.

The order that Terraform keeps (docs/decisions/0011 tells how it was tried):

    new configs, functions -> items -> sync -> waits -> verdict -> settled -> old configs destroyed

and on destroy `settled`, the waits, then `sync`, whose delete stops every endpoint before any
function, queue or table goes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from cdktf import (
    DataResource,
    LocalExecProvisioner,
    TerraformResource,
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
from lambdas.core.rollout import UpdatePolicy
from lambdas.core.spec import Spec

PATIENCE = timedelta(minutes=40)
"""SageMaker takes about half an hour to give up on instances that it cannot get or that fail their
health checks; then it rolls back."""
_REFUSAL = (
    'echo \'Nothing was destroyed: set "deletion_protection": false in the config, deploy, '
    "and destroy again.' >&2; exit 1"
)


@dataclass(frozen=True, slots=True)
class DeclaredEndpoint:
    """`spec` without a hash, the model that it runs on, and those that it falls back to."""

    spec: Spec
    hosted: HostedModel
    fallbacks: Sequence[HostedModel] = ()

    def whole(self) -> Spec:
        return replace(self.spec, spec_hash=digest(self.spec.document()))


class Specs(Construct):
    """`readers` is what runs code that reads specs. `prepared` is all that a function needs to
    run: sync comes after and is undone before."""

    def __init__(
        self,
        scope: Construct,
        *,
        table: StateTable,
        sweep: PythonFunction,
        endpoints: Sequence[DeclaredEndpoint],
        readers: Sequence[TerraformResource],
        prepared: Sequence[TerraformResource],
        protected: bool,
    ) -> None:
        super().__init__(scope, "specs")
        items = [self._item(table, endpoint, readers) for endpoint in endpoints]
        manifest = {e.spec.name: e.spec.endpoint_config_name for e in endpoints}
        specs = digest([endpoint.whole().spec_hash for endpoint in endpoints])
        sync = addressed(
            LambdaInvocation(
                self,
                "sync",
                # Literal: where it changes Terraform replaces the invocation, and replacing it
                # would stop every endpoint. A test pins name and address.
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
            self._refuse_destroy(settled)

    def _item(
        self,
        table: StateTable,
        endpoint: DeclaredEndpoint,
        readers: Sequence[TerraformResource],
    ) -> DynamodbTableItem:
        """Written once its readers run the new code: older code would not know what a newer spec
        means (docs/decisions/0092)."""
        spec = endpoint.whole()
        values = {
            "pk": f"ENDPOINT#{spec.key}",
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
        """Wait for the rollout so many times, one after another; returns the last. Each returns as
        soon as there is nothing to wait for."""
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

        Creating `verdict` asks for it, once for each set of configs. While the answer is no there
        is no `verdict` in Terraform's state, so each apply asks again and no plan does. The old
        configs wait for `settled`, which keeps its dependence on them until it is updated
        (docs/decisions/0015).
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

    def _refuse_destroy(self, settled: DataResource) -> None:
        """Let `terraform destroy` fail before it has touched anything.

        Protected tables would fail it too, but last: when the functions are gone already. The
        provisioner runs on a destroy only; where the protection is taken off, this resource
        leaves the config and goes without it.
        """
        addressed(
            DataResource(
                self,
                "protected",
                depends_on=[settled],
                provisioners=[
                    LocalExecProvisioner(type="local-exec", when="destroy", command=_REFUSAL)
                ],
            ),
            "protected",
        )


def wait_count(specs: Sequence[Spec]) -> int:
    """How many waits the longest update may need (docs/decisions/0058)."""
    longest = max((UpdatePolicy(spec.update).longest() for spec in specs), default=timedelta())
    return -(-(longest + PATIENCE) // WAIT_LIMIT)


def _event(action: str, manifest: Mapping[str, str], **more: str) -> str:
    return canonical({"action": action, "manifest": dict(manifest), **more})


def _typed(value: str | int) -> dict[str, str]:
    """A value in DynamoDB's JSON."""
    return {"N": str(value)} if isinstance(value, int) else {"S": value}
