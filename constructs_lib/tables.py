"""The state, history and token tables, and the statements for their use."""

from __future__ import annotations

from collections.abc import Iterable

from cdktf_cdktf_provider_aws.dynamodb_table import (
    DynamodbTable,
    DynamodbTableAttribute,
    DynamodbTableGlobalSecondaryIndex,
    DynamodbTablePointInTimeRecovery,
    DynamodbTableServerSideEncryption,
    DynamodbTableTtl,
)
from constructs import Construct

from constructs_lib.deployment import Deployment, addressed
from constructs_lib.policy import Conditions, Statement
from lambdas.core.names import PK_PREFIX, endpoint_key

DUE_INDEX = "due"


class _Table(Construct):
    """A table of this stack: on-demand, encrypted, with point-in-time recovery."""

    def __init__(  # noqa: PLR0913  # each is a property of the one resource made here
        self,
        scope: Construct,
        logical_id: str,
        at: Deployment,
        name: str,
        *,
        keys: dict[str, str],
        deletion_protection: bool,
        attributes: dict[str, str] | None = None,
        ttl: DynamodbTableTtl | None = None,
        indexes: list[DynamodbTableGlobalSecondaryIndex] | None = None,
    ) -> None:
        super().__init__(scope, logical_id)
        hash_key, *range_key = keys
        self.name = name
        self.resource = addressed(
            DynamodbTable(
                self,
                "table",
                name=name,
                billing_mode="PAY_PER_REQUEST",
                hash_key=hash_key,
                range_key=range_key[0] if range_key else None,
                attribute=[
                    DynamodbTableAttribute(name=key, type=kind)
                    for key, kind in {**keys, **(attributes or {})}.items()
                ],
                global_secondary_index=indexes,
                ttl=ttl,
                point_in_time_recovery=DynamodbTablePointInTimeRecovery(enabled=True),
                server_side_encryption=DynamodbTableServerSideEncryption(
                    enabled=True, kms_key_arn=at.key_arn
                ),
                deletion_protection_enabled=deletion_protection,
            ),
            logical_id,
        )
        self.arn = self.resource.arn


class StateTable(_Table):
    """Specs, states and the control item. The index `due` is sparse: it only holds endpoints that
    have something to do, so the cost of an idle tick does not depend on the size of the table."""

    def __init__(self, scope: Construct, at: Deployment, *, deletion_protection: bool) -> None:
        super().__init__(
            scope,
            "state",
            at,
            at.name("state"),
            keys={"pk": "S", "sk": "S"},
            attributes={"due_shard": "S", "next_due": "N"},
            indexes=[
                DynamodbTableGlobalSecondaryIndex(
                    name=DUE_INDEX,
                    hash_key="due_shard",
                    range_key="next_due",
                    projection_type="INCLUDE",
                    non_key_attributes=["claimed_until", "next_step"],
                )
            ],
            deletion_protection=deletion_protection,
        )

    def read_endpoint(self) -> list[Statement]:
        return [Statement(("dynamodb:Query",), (self.arn,))]

    def read_control(self) -> list[Statement]:
        return [Statement(("dynamodb:GetItem",), (self.arn,))]

    def list_endpoints(self) -> list[Statement]:
        return [Statement(("dynamodb:Scan",), (self.arn,))]

    def read_id(self) -> list[Statement]:
        return [Statement(("dynamodb:DescribeTable",), (self.arn,))]

    def read_due(self) -> list[Statement]:
        return [Statement(("dynamodb:Query",), (f"{self.arn}/index/{DUE_INDEX}",))]

    def write(self) -> list[Statement]:
        return [Statement(("dynamodb:UpdateItem",), (self.arn,))]

    def write_only(self, endpoint_names: Iterable[str]) -> list[Statement]:
        """Write to the items of these endpoints only."""
        keys = [PK_PREFIX + endpoint_key(name) for name in endpoint_names]
        of_them: Conditions = {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": keys}}
        return [Statement(("dynamodb:UpdateItem",), (self.arn,), of_them)]

    def declare(self) -> list[Statement]:
        """Check in a transaction whether the deployed config declares an endpoint."""
        return [Statement(("dynamodb:ConditionCheckItem",), (self.arn,))]

    def forget(self) -> list[Statement]:
        return [Statement(("dynamodb:DeleteItem",), (self.arn,))]


class HistoryTable(_Table):
    """The history, append-only. DynamoDB deletes expired items by TTL."""

    def __init__(self, scope: Construct, at: Deployment, *, deletion_protection: bool) -> None:
        super().__init__(
            scope,
            "history",
            at,
            at.name("history"),
            keys={"pk": "S", "sk": "S"},
            ttl=DynamodbTableTtl(attribute_name="ttl", enabled=True),
            deletion_protection=deletion_protection,
        )

    def read(self) -> list[Statement]:
        return [Statement(("dynamodb:Query",), (self.arn,))]

    def append(self) -> list[Statement]:
        return [Statement(("dynamodb:PutItem",), (self.arn,))]

    def count_requests(self) -> list[Statement]:
        """Change the counters of tokens. Only their keys begin with `RATE#`."""
        counters = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["RATE#*"]}}
        return [Statement(("dynamodb:UpdateItem",), (self.arn,), counters)]


class AuthTable(Construct):
    """The token table: one that the stack makes, or an existing one that it only reads."""

    def __init__(
        self,
        scope: Construct,
        at: Deployment,
        name: str,
        *,
        create: bool,
        deletion_protection: bool,
    ) -> None:
        super().__init__(scope, "auth")
        self.name = name
        self.is_ours = create
        self.arn = at.arn("dynamodb", f"table/{name}")
        if create:
            table = _Table(
                self,
                "auth",
                at,
                name,
                keys={"token": "S"},
                deletion_protection=deletion_protection,
            )
            self.arn = table.arn

    def authorize(self) -> list[Statement]:
        """Look up tokens, and record their last use if the table is ours."""
        actions = ("dynamodb:BatchGetItem", *(("dynamodb:UpdateItem",) if self.is_ours else ()))
        return [Statement(actions, (self.arn,))]
