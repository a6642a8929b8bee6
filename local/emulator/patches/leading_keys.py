"""Requests to DynamoDB carry `dynamodb:LeadingKeys`: the partition keys that they name.

MiniStack never sets this condition key, and an absent key satisfies `ForAllValues`. So a role that
may only reach its own items could reach all items of the table.
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html
"""

import json
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

dynamodb: Any = import_module("ministack.services.dynamodb")
evaluator: Any = import_module("ministack.core.iam_evaluator")
iam_actions: Any = import_module("ministack.core.iam_actions")

NOBODYS = ""
"""Stands for a key that was not found in a request. No item has it, so only `*` matches it."""
Request = Mapping[str, Any]


class Addressed(str):
    """The ARN of a table or index, and the partition keys that a request names there."""

    __slots__ = ("keys",)
    keys: tuple[str, ...]

    @classmethod
    def by(cls, request: Request, arn: str) -> "Addressed":
        addressed = cls(arn)
        try:
            addressed.keys = tuple(_keys(request, arn))
        except (AttributeError, IndexError, KeyError, TypeError, ValueError):
            addressed.keys = (NOBODYS,)  # a malformed request, which DynamoDB would refuse
        return addressed


def apply() -> None:
    """Carry the keys with the ARNs that are checked, and put them into the check."""
    resource_arns = iam_actions.dynamodb_resource_arns
    transaction_checks = iam_actions.dynamodb_transaction_checks
    enforce = evaluator.enforce

    def resources_with_keys(body: bytes, region: str, account: str) -> list[str]:
        request = _request(body)
        return [Addressed.by(request, arn) for arn in resource_arns(body, region, account)]

    def checks_with_keys(
        action: str, body: bytes, region: str, account: str
    ) -> list[tuple[str, str]]:
        checks = transaction_checks(action, body, region, account)
        parts = _parts_of_transaction(_request(body)) if checks else iter(())
        return [
            (each, Addressed.by(part, arn)) for (each, arn), part in zip(checks, parts, strict=True)
        ]

    def enforce_with_keys(*args: Any, **options: Any) -> Any:
        arn = options.get("resource_arn")
        if isinstance(arn, Addressed) and arn.keys:
            named = {"dynamodb:LeadingKeys": list(arn.keys)}
            options["service_context"] = {**(options.get("service_context") or {}), **named}
        return enforce(*args, **options)

    iam_actions.dynamodb_resource_arns = resources_with_keys
    iam_actions.dynamodb_transaction_checks = checks_with_keys
    evaluator.enforce = enforce_with_keys


def _parts_of_transaction(request: Request) -> Iterator[Request]:
    """The operations of a transaction, in the order of MiniStack's checks."""
    for item in request["TransactItems"]:
        for member in iam_actions._DYNAMODB_TRANSACT_ITEM_ACTIONS:
            part: Any = item.get(member) if isinstance(item, dict) else None
            table = part.get("TableName") if isinstance(part, dict) else None
            if table and isinstance(table, str):
                yield part


def _keys(request: Request, arn: str) -> Iterator[str]:
    """Every partition key that the request names in this table, wherever it names it."""
    partition = _partition_key(arn)
    for field in ("Item", "Key"):
        if field in request:
            yield _value(request[field], partition)
    if "KeyConditionExpression" in request or "KeyConditions" in request:
        yield _of_query(request, partition)
    for table, batch in (request.get("RequestItems") or {}).items():
        if _table(arn) == table.rpartition("/")[2]:
            for item in _items_of_batch(batch):
                yield _value(item, partition)


def _items_of_batch(batch: Any) -> Iterator[Any]:
    """The keys of BatchGetItem, the keys and items of BatchWriteItem."""
    if isinstance(batch, dict):
        yield from batch.get("Keys") or ()
        return
    for write in batch:
        for kind, field in (("PutRequest", "Item"), ("DeleteRequest", "Key")):
            if kind in write:
                yield write[kind].get(field)


def _of_query(request: Request, partition: str) -> str:
    """The value that a query asks of the partition key."""
    legacy = (request.get("KeyConditions") or {}).get(partition)
    if legacy:
        return _text(legacy["AttributeValueList"][0])
    names = request.get("ExpressionAttributeNames") or {}
    tokens = dynamodb._tokenize(request["KeyConditionExpression"])
    for clause in dynamodb._key_condition_clauses(tokens):
        words = [word for kind, word, *_ in clause if kind not in ("LPAREN", "RPAREN")]
        if len(words) == 3 and words[1] == "=" and names.get(words[0], words[0]) == partition:
            return _text(request["ExpressionAttributeValues"].get(words[2]))
    return NOBODYS


def _partition_key(arn: str) -> str:
    table = dynamodb._tables.get(_table(arn)) or {}
    indexes = (table.get("GlobalSecondaryIndexes") or []) if "/index/" in arn else []
    schema = next(
        (each["KeySchema"] for each in indexes if each["IndexName"] == arn.rpartition("/")[2]),
        table.get("KeySchema") or [],
    )
    return next((part["AttributeName"] for part in schema if part["KeyType"] == "HASH"), "")


def _table(arn: str) -> str:
    return arn.partition(":table/")[2].partition("/")[0]


def _value(item: Any, partition: str) -> str:
    return _text(item.get(partition) if isinstance(item, dict) else None)


def _text(value: Any) -> str:
    """A value of DynamoDB, such as {"S": "x"}, as text."""
    return str(next(iter(value.values()), NOBODYS)) if isinstance(value, dict) else NOBODYS


def _request(body: bytes) -> Request:
    """The request; an empty one if the body is malformed, for which nothing is checked."""
    try:
        request = json.loads(body)
    except ValueError:
        return {}
    return request if isinstance(request, dict) else {}
