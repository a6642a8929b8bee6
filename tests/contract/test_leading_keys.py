"""A role that may only reach items with certain partition keys reaches no others: the embedded IAM
supplies `dynamodb:LeadingKeys`."""

from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from constructs_lib.policy import Statement, policy_document
from tests.contract.emulator_process import REGION, Emulator, running_emulator
from tests.roles import session_of

TABLE = "arn:aws:dynamodb:us-east-1:000000000000:table/shared"
ACTIONS = (
    "dynamodb:BatchGetItem",
    "dynamodb:BatchWriteItem",
    "dynamodb:ConditionCheckItem",
    "dynamodb:DeleteItem",
    "dynamodb:GetItem",
    "dynamodb:PutItem",
    "dynamodb:Query",
    "dynamodb:UpdateItem",
)
OWN, FOREIGN = "RATE#own", "ENDPOINT#falcon"


@pytest.fixture(scope="module")
def dynamodb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """DynamoDB's client in the name of a role that may reach keys that begin with RATE#, and all
    items of the table `free`."""
    with running_emulator(tmp_path_factory.mktemp("emulator")) as emulator:
        for table in ("shared", "free"):
            a_table(emulator, table)
        own = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["RATE#*"]}}
        shared = Statement(ACTIONS, (TABLE, f"{TABLE}/index/by_other"), own)
        free = Statement(ACTIONS, (TABLE.replace("shared", "free"),))
        role = emulator.role()
        emulator.client("iam").put_role_policy(
            RoleName=role.rpartition("/")[2],
            PolicyName="own",
            PolicyDocument=policy_document([shared, free]),
        )
        session: Any = session_of(role, emulator.client("lambda"))
        yield boto3.client("dynamodb", endpoint_url=emulator.url, region_name=REGION, **session)


def a_table(emulator: Emulator, name: str) -> None:
    text = [{"AttributeName": each, "AttributeType": "S"} for each in ("pk", "sk", "other")]
    emulator.client("dynamodb").create_table(
        TableName=name,
        AttributeDefinitions=text,
        KeySchema=[
            {"AttributeName": "sk", "KeyType": "RANGE"},
            {"AttributeName": "pk", "KeyType": "HASH"},
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by_other",
                "KeySchema": [{"AttributeName": "other", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
        BillingMode="PAY_PER_REQUEST",
    )


def key(pk: str) -> dict[str, Any]:
    return {"pk": {"S": pk}, "sk": {"S": "RATE#sort"}}


def on(pk: str, **more: Any) -> dict[str, Any]:
    return {"TableName": "shared", "Key": key(pk), **more}


def setting(pk: str) -> dict[str, Any]:
    value = {":n": {"N": "1"}}
    return on(pk, UpdateExpression="SET n = :n", ExpressionAttributeValues=value)


def asking(pk: str, **more: Any) -> dict[str, Any]:
    values = {":pk": {"S": pk}, ":sk": {"S": "RATE#"}}
    return {"TableName": "shared", "ExpressionAttributeValues": values, **more}


def written(client: Any, *parts: dict[str, Any]) -> None:
    client.transact_write_items(TransactItems=list(parts))


CALLS: dict[str, Callable[[Any, str], object]] = {
    "get": lambda client, pk: client.get_item(**on(pk)),
    "put": lambda client, pk: client.put_item(TableName="shared", Item=key(pk)),
    "update": lambda client, pk: client.update_item(**setting(pk)),
    "delete": lambda client, pk: client.delete_item(**on(pk)),
    "query": lambda client, pk: client.query(
        **asking(pk, KeyConditionExpression="begins_with(sk, :sk) AND (pk = :pk)")
    ),
    "query with names": lambda client, pk: client.query(
        **asking(
            pk,
            KeyConditionExpression="#k=:pk AND sk >= :sk",
            ExpressionAttributeNames={"#k": "pk"},
        )
    ),
    "query with conditions": lambda client, pk: client.query(
        TableName="shared",
        KeyConditions={
            "pk": {"AttributeValueList": [{"S": pk}], "ComparisonOperator": "EQ"},
        },
    ),
    "query of an index": lambda client, pk: client.query(
        TableName="shared",
        IndexName="by_other",
        KeyConditionExpression="other = :other",
        ExpressionAttributeValues={":other": {"S": pk}},
    ),
    "batch get": lambda client, pk: client.batch_get_item(
        RequestItems={"shared": {"Keys": [key(OWN), key(pk + "2")]}, "free": {"Keys": [key("any")]}}
    ),
    "batch write": lambda client, pk: client.batch_write_item(
        RequestItems={
            "free": [{"PutRequest": {"Item": key("any")}}],
            "shared": [
                {"PutRequest": {"Item": key(OWN + "2")}},
                {"DeleteRequest": {"Key": key(pk)}},
            ],
        }
    ),
    "transaction of gets": lambda client, pk: client.transact_get_items(
        TransactItems=[{"Get": on(OWN + "2")}, {"Get": on(pk)}]
    ),
    "transaction that puts": lambda client, pk: written(
        client,
        {"Put": {"TableName": "free", "Item": key("any")}},
        {"Put": {"TableName": "shared", "Item": key(pk)}},
    ),
    "transaction that updates": lambda client, pk: written(
        client, {"Update": setting(OWN + "2")}, {"Update": setting(pk)}
    ),
    "transaction that deletes": lambda client, pk: written(
        client, {"Update": setting(OWN + "2")}, {"Delete": on(pk)}
    ),
    "transaction that checks": lambda client, pk: written(
        client,
        {"Update": setting(OWN + "2")},
        {"ConditionCheck": on(pk, ConditionExpression="attribute_not_exists(absent)")},
    ),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_role_reaches_its_own_keys(dynamodb: Any, call: str) -> None:
    CALLS[call](dynamodb, OWN)


@pytest.mark.parametrize("call", CALLS)
def test_a_role_does_not_reach_foreign_keys(dynamodb: Any, call: str) -> None:
    with pytest.raises(ClientError) as refused:
        CALLS[call](dynamodb, FOREIGN)

    assert refused.value.response["Error"]["Code"] == "AccessDeniedException"


def test_own_key_in_a_field_that_is_not_used_does_not_help(dynamodb: Any) -> None:
    dynamodb.meta.events.register("before-call.dynamodb.PutItem", _with_own_key_beside)
    try:
        with pytest.raises(ClientError, match="AccessDenied"):
            CALLS["put"](dynamodb, FOREIGN)
    finally:
        dynamodb.meta.events.unregister("before-call.dynamodb.PutItem", _with_own_key_beside)


def _with_own_key_beside(params: dict[str, Any], **_: object) -> None:
    params["body"] = params["body"].replace(b'"Item"', b'"Key": {"pk": {"S": "RATE#own"}}, "Item"')
