"""List operations: filters, sort orders, and pages that stay correct when rows come and go."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from local.simulator.call import epoch
from local.simulator.errors import BAD_TOKEN
from local.simulator.lifecycle import Json

PAGE = 10
"""SageMaker's page size without MaxResults."""


@dataclass(frozen=True)
class Entry:
    """A row of a listing. `status` and `modified_at` are only set if the resource has them."""

    name: str
    created_at: datetime
    summary: Json
    modified_at: datetime | None = None
    status: str = ""


def page(entries: Iterable[Entry], request: Json, result_key: str) -> Json:
    """One page under `result_key`, newest first by default, with a NextToken if more rows follow.

    A token holds the sort key of the last row, not a position.
    """
    by = request.get("SortBy", "CreationTime")
    descending = request.get("SortOrder", "Descending") == "Descending"
    rows = sorted(
        ((_sort_key(entry, by), entry) for entry in _filtered(entries, request)),
        key=lambda row: row[0],
        reverse=descending,
    )
    token = request.get("NextToken")
    if token:
        last = tuple(decode_token(token, result_key))
        rows = [row for row in rows if (row[0] < last if descending else row[0] > last)]
    size = request.get("MaxResults", PAGE)
    answer: Json = {result_key: [entry.summary for _, entry in rows[:size]]}
    if len(rows) > size:
        answer["NextToken"] = encode_token(result_key, list(rows[size - 1][0]))
    return answer


def _sort_key(entry: Entry, by: str) -> tuple[str, str]:
    name = entry.name.lower()
    if by == "Name":
        return (name, "")
    if by == "Status":
        return (entry.status, name)
    return (f"{entry.created_at.timestamp():020.6f}", name)


def _filtered(entries: Iterable[Entry], request: Json) -> Iterator[Entry]:
    part = request.get("NameContains", "").lower()
    status = request.get("StatusEquals")
    for entry in entries:
        if part not in entry.name.lower() or (status and entry.status != status):
            continue
        if _within(entry.created_at, request, "CreationTime") and _within(
            entry.modified_at, request, "LastModifiedTime"
        ):
            yield entry


def _within(instant: datetime | None, request: Json, what: str) -> bool:
    if instant is None:
        return True
    after, before = request.get(f"{what}After"), request.get(f"{what}Before")
    moment = epoch(instant)
    return (after is None or moment >= after) and (before is None or moment <= before)


def encode_token(listing: str, last: list[str]) -> str:
    """A NextToken that continues after the key `last` of the listing."""
    return base64.urlsafe_b64encode(json.dumps([listing, *last]).encode()).decode()


def decode_token(token: str, listing: str) -> list[str]:
    """The key after which to continue. Raises if the token is from another listing."""
    try:
        own, *last = json.loads(base64.urlsafe_b64decode(token.encode()))
    except (binascii.Error, ValueError, TypeError, RecursionError) as error:
        raise BAD_TOKEN.error() from error
    if own != listing or not last or not all(isinstance(part, str) for part in last):
        raise BAD_TOKEN.error()
    return [str(part) for part in last]
