"""DynamoDB in memory, with the interface of boto3's client. It runs what the state store really
sends, with all conditions. `test_clients.py` runs the contract tests against it."""

from __future__ import annotations

import zlib
from bisect import bisect_right, insort
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from tests.simulation.expressions import Item, condition, plain, update
from tests.simulation.wire import Call, Wire

DUE_INDEX = "due"
_PROJECTED = ("pk", "sk", "due_shard", "next_due", "next_step", "claimed_until")
_REMEMBERED = timedelta(seconds=10)

Watcher = Callable[[str, str, Item | None, Item | None], None]


@dataclass
class Tables:
    """The items of the state and history tables, and the index `due` with its recent versions."""

    clock: Callable[[], datetime]
    state: dict[str, dict[str, Item]] = field(default_factory=dict)
    history: dict[str, dict[str, Item]] = field(default_factory=dict)
    watchers: list[Watcher] = field(default_factory=list)
    scan_order: list[tuple[int, str, str]] = field(default_factory=list)
    """The keys of the state table in the order of scans."""
    table_id: str = "first"
    """The id of the state table. A restored one has another id."""
    written: Callable[[], None] = lambda: None
    """Called after all writes of one call are done."""
    _due: dict[str, Item] = field(default_factory=dict)
    _moves: deque[tuple[datetime, str, Item | None]] = field(default_factory=deque)

    def of(self, name: str) -> dict[str, dict[str, Item]]:
        return self.history if name == "history" else self.state

    def get(self, name: str, pk: str, sk: str) -> Item | None:
        return self.of(name).get(pk, {}).get(sk)

    def put(self, name: str, pk: str, sk: str, item: Item | None) -> None:
        """Write an item, or remove it (None). The watchers are called for changes to the state."""
        group = self.of(name).setdefault(pk, {})
        before = group.get(sk)
        if item is None:
            group.pop(sk, None)
            if not group:
                del self.of(name)[pk]
        else:
            group[sk] = item
        if name == "state":
            if before is None and item is not None:
                insort(self.scan_order, _scan_key(pk, sk))
            elif before is not None and item is None:
                self.scan_order.remove(_scan_key(pk, sk))
            if sk == "STATE":
                self._index(pk, item)
            for watcher in self.watchers:
                watcher(pk, sk, before, item)

    def due_index(self, shard: str, behind: timedelta) -> list[Item]:
        """The entries of a shard as they were `behind` ago, because the index is eventually
        consistent."""
        view: dict[str, Item | None] = dict(self._due)
        if behind:
            since = self.clock() - behind
            for at, pk, before in reversed(self._moves):
                if at <= since:
                    break
                view[pk] = before
        entries = [item for item in view.values() if item and item["due_shard"]["S"] == shard]
        return sorted(entries, key=lambda item: (plain(item["next_due"]), item["pk"]["S"]))

    def _index(self, pk: str, item: Item | None) -> None:
        entry = None
        if item and "due_shard" in item and "next_due" in item:
            entry = {name: item[name] for name in _PROJECTED if name in item}
        before = self._due.get(pk)
        if entry == before:
            return
        if entry is None:
            self._due.pop(pk)
        else:
            self._due[pk] = entry
        now = self.clock()
        self._moves.append((now, pk, before))
        while self._moves[0][0] < now - _REMEMBERED:
            self._moves.popleft()


class DynamoClient:
    """boto3's client, as far as the adapters use it. `repeats`: the SDK retries."""

    def __init__(self, tables: Tables, wire: Wire, *, repeats: bool, page: int) -> None:
        self._tables = tables
        self._wire = wire
        self._repeats = repeats
        self._page = page
        self._due_size = max(1, page // 10)  # much less is due than there is

    def update_item(self, **request: Any) -> dict[str, Any]:
        def effect() -> dict[str, Any]:
            table, pk, sk = _address(request)
            before = self._tables.get(table, pk, sk)
            _check(request, before or {}, "UpdateItem")
            after = _updated(request, before)
            self._tables.put(table, pk, sk, after)
            self._tables.written()
            return {"Attributes": dict(after)} if "ReturnValues" in request else {}

        return self._call("UpdateItem", request, effect)

    def delete_item(self, **request: Any) -> dict[str, Any]:
        def effect() -> dict[str, Any]:
            table, pk, sk = _address(request)
            _check(request, self._tables.get(table, pk, sk) or {}, "DeleteItem")
            self._tables.put(table, pk, sk, None)
            self._tables.written()
            return {}

        return self._call("DeleteItem", request, effect)

    def put_item(self, **request: Any) -> dict[str, Any]:
        item = request["Item"]

        def effect() -> dict[str, Any]:
            self._tables.put(request["TableName"], item["pk"]["S"], item["sk"]["S"], item)
            return {}

        return self._call("PutItem", {**request, "Key": item}, effect)

    def get_item(self, **request: Any) -> dict[str, Any]:
        def effect() -> dict[str, Any]:
            item = self._tables.get(*_address(request))
            return {"Item": dict(item)} if item else {}

        return self._call("GetItem", request, effect)

    def transact_write_items(self, *, TransactItems: list[Any]) -> dict[str, Any]:  # noqa: N803
        """All or nothing."""
        parts = [next(iter(part.items())) for part in TransactItems]

        def effect() -> dict[str, Any]:
            reasons = []
            for word, part in parts:
                held = self._tables.get(*_address(part, word)) or {}
                reasons.append({"Code": "None" if _holds(part, held) else "ConditionalCheckFailed"})
            if any(reason["Code"] != "None" for reason in reasons):
                refused: Any = {
                    "Error": {"Code": "TransactionCanceledException", "Message": "cancelled"},
                    "CancellationReasons": reasons,
                }
                raise ClientError(refused, "TransactWriteItems")
            for word, part in parts:
                table, pk, sk = _address(part, word)
                after = None
                if word == "Put":
                    after = part["Item"]
                elif word == "Update":
                    after = _updated(part, self._tables.get(table, pk, sk))
                if word != "ConditionCheck":
                    self._tables.put(table, pk, sk, after)
            self._tables.written()
            return {}

        others = [_address(part, word)[1].removeprefix("ENDPOINT#") for word, part in parts[1:]]
        return self._call("TransactWriteItems", parts[0][1], effect, others)

    def describe_table(self, **_request: Any) -> dict[str, Any]:
        def effect() -> dict[str, Any]:
            return {"Table": {"TableId": self._tables.table_id}}

        return self._call("DescribeTable", {}, effect)

    def get_paginator(self, operation: str) -> _Pages:
        return _Pages(self.query_page if operation == "query" else self.scan_page)

    def query_page(self, request: dict[str, Any]) -> dict[str, Any]:
        if request.get("IndexName") == DUE_INDEX:
            return self._call("QueryDue", request, lambda: self._due_page(request))
        values = request["ExpressionAttributeValues"]
        pk, keyed = values[":pk"]["S"], condition(request["KeyConditionExpression"])

        def effect() -> dict[str, Any]:
            group = self._tables.of(request["TableName"]).get(pk, {})
            keys = [sk for sk, item in group.items() if keyed(item, {}, values)]
            forward = request.get("ScanIndexForward", True)
            return {"Items": [group[sk] for sk in sorted(keys, reverse=not forward)]}

        return self._call("Query", {"Key": {"pk": {"S": pk}}}, effect)

    def _due_page(self, request: dict[str, Any]) -> dict[str, Any]:
        values = request["ExpressionAttributeValues"]
        keyed = condition(request["KeyConditionExpression"])
        passes = condition(request["FilterExpression"])
        entries = self._tables.due_index(values[":shard"]["S"], self._wire.staleness())
        entries = [entry for entry in entries if keyed(entry, {}, values)]
        start = request.get("ExclusiveStartKey")
        if start:
            entries = [entry for entry in entries if _due_key(entry) > _due_key(start)]
        page, more = entries[: self._due_size], len(entries) > self._due_size
        answer: dict[str, Any] = {"Items": [item for item in page if passes(item, {}, values)]}
        if more:
            answer["LastEvaluatedKey"] = {k: page[-1][k] for k in ("pk", "sk", "next_due")}
        return answer

    def scan_page(self, request: dict[str, Any]) -> dict[str, Any]:
        def effect() -> dict[str, Any]:
            table = self._tables.of(request["TableName"])
            start = request.get("ExclusiveStartKey")
            keys = self._tables.scan_order
            first = 0
            if start:
                first = bisect_right(keys, _scan_key(start["pk"]["S"], start["sk"]["S"]))
            page = keys[first : first + self._page]
            answer: dict[str, Any] = {"Items": [table[pk][sk] for _, pk, sk in page]}
            if first + len(page) < len(keys):
                _, pk, sk = page[-1]
                answer["LastEvaluatedKey"] = {"pk": {"S": pk}, "sk": {"S": sk}}
            return answer

        return self._call("Scan", {}, effect)

    def _call(
        self,
        operation: str,
        request: dict[str, Any],
        effect: Callable[[], dict[str, Any]],
        others: Sequence[str] = (),
    ) -> dict[str, Any]:
        key = request["Key"]["pk"]["S"].removeprefix("ENDPOINT#") if "Key" in request else None
        sort_key = request["Key"].get("sk", {}).get("S", "") if "Key" in request else ""
        if request.get("TableName") == "history":
            sort_key = "history"
        name = f"{operation} {sort_key}".strip()
        call = Call("dynamodb", name, key, repeats=self._repeats, others=others)
        return self._wire.send(call, effect)


class _Pages:
    """A paginator: each page is a call."""

    def __init__(self, page: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        self._page = page

    def paginate(self, **request: Any) -> Iterator[dict[str, Any]]:
        request.pop("PaginationConfig", None)
        while True:
            answer = self._page(request)
            yield answer
            if "LastEvaluatedKey" not in answer:
                return
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


def _address(request: dict[str, Any], word: str = "") -> tuple[str, str, str]:
    key = request["Item"] if word == "Put" else request["Key"]
    return request["TableName"], key["pk"]["S"], key["sk"]["S"]


def _updated(request: dict[str, Any], before: Item | None) -> Item:
    return update(
        before if before is not None else dict(request["Key"]),
        request["UpdateExpression"],
        request.get("ExpressionAttributeNames", {}),
        request.get("ExpressionAttributeValues", {}),
    )


def _holds(request: dict[str, Any], item: Item) -> bool:
    text = request.get("ConditionExpression")
    return text is None or condition(text)(
        item,
        request.get("ExpressionAttributeNames", {}),
        request.get("ExpressionAttributeValues", {}),
    )


def _check(request: dict[str, Any], item: Item, operation: str) -> None:
    if not _holds(request, item):
        raise ClientError(
            {
                "Error": {
                    "Code": "ConditionalCheckFailedException",
                    "Message": "The conditional request failed",
                }
            },
            operation,
        )


def _due_key(entry: Item) -> tuple[Any, str]:
    return plain(entry["next_due"]), entry["pk"]["S"]


def _scan_key(pk: str, sk: str) -> tuple[int, str, str]:
    """Scans go in the order of the hash of the partition key."""
    return zlib.crc32(pk.encode()), pk, sk
