"""Tags of models, endpoint configs and endpoints."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from local.simulator.account import Account, Kind
from local.simulator.call import Call
from local.simulator.errors import MISSING, TOO_MANY_TAGS, ApiError
from local.simulator.lifecycle import Json
from local.simulator.listing import decode_token, encode_token

MOST_TAGS = 50
PAGE = 20
"""Tags per page. It is less than a request may ask for, so that callers must use pages."""


class Holder(Protocol):
    """A collection of resources that can have tags."""

    def __contains__(self, name: str) -> bool: ...


class Tags:
    """Tags by lower-case ARN. A deleted resource has no tags and cannot get any."""

    def __init__(self, account: Account, holders: dict[Kind, Holder]) -> None:
        self._account = account
        self._holders = holders
        self._tags: dict[str, dict[str, str]] = {}

    def of(self, kind: Kind, name: str) -> dict[str, str]:
        return dict(self._tags.get(self._account.arn(kind, name), {}))

    def on(self, arn: str) -> dict[str, str]:
        """The tags of the resource with this ARN, with its name in any case."""
        try:
            return dict(self._tags.get(self._existing(arn), {}))
        except ApiError:
            return {}

    def creating(
        self, kind: Kind, name_key: str, create: Callable[[Call], Json]
    ) -> Callable[[Call], Json]:
        """Wrap a create operation, so that the new resource gets the Tags of the request."""

        def create_with_tags(call: Call) -> Json:
            given = _as_dict(call.request.get("Tags", []))
            answer = create(call)
            self._tags[self._account.arn(kind, call.request[name_key])] = given
            return answer

        return create_with_tags

    def add(self, call: Call) -> Json:
        arn = self._existing(call.request["ResourceArn"])
        tags = self._tags.get(arn, {}) | _as_dict(call.request["Tags"])
        if len(tags) > MOST_TAGS:
            raise TOO_MANY_TAGS.error()
        self._tags[arn] = tags
        return {"Tags": _as_list(tags)}

    def delete(self, call: Call) -> Json:
        tags = self._tags.get(self._existing(call.request["ResourceArn"]), {})
        for key in call.request["TagKeys"]:
            tags.pop(key, None)
        return {}

    def list(self, call: Call) -> Json:
        arn = self._existing(call.request["ResourceArn"])
        tags = sorted(self._tags.get(arn, {}).items())
        token = call.request.get("NextToken")
        last = decode_token(token, arn)[0] if token else ""
        rest = [(key, value) for key, value in tags if key > last]
        shown = dict(rest[:PAGE])
        answer: Json = {"Tags": _as_list(shown)}
        if len(rest) > PAGE:
            answer["NextToken"] = encode_token(arn, [max(shown)])
        return answer

    def _existing(self, arn: str) -> str:
        """The ARN in our spelling. Raises "Could not find ..." if no resource has it."""
        word, _, name = arn.rpartition(":")[2].partition("/")
        for kind, holder in self._holders.items():
            if kind.word == word.lower():
                own = self._account.arn(kind, name)
                if own != arn.lower() or name not in holder:
                    raise MISSING.error(noun=kind.noun, arn=arn)
                return own
        raise ApiError("ValidationException", f'Could not find resource "{arn}".')


def _as_dict(tags: list[Json]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in tags}


def _as_list(tags: dict[str, str]) -> list[Json]:
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]
