"""The simulated AWS account and region, and its collections of named resources."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

from local.simulator.errors import EXISTS, MISSING


class Kind(Enum):
    """A resource type: its name in ARNs, and its name in error messages."""

    MODEL = ("model", "model")
    CONFIG = ("endpoint-config", "endpoint configuration")
    ENDPOINT = ("endpoint", "endpoint")

    def __init__(self, word: str, noun: str) -> None:
        self.word = word
        self.noun = noun


@dataclass(frozen=True)
class Account:
    """The owner of the resources. Only its id and region appear in answers."""

    account_id: str = "000000000000"
    region: str = "us-east-1"

    def arn(self, kind: Kind, name: str) -> str:
        """The ARN of a resource. SageMaker always writes names in ARNs in lower case."""
        return f"arn:aws:sagemaker:{self.region}:{self.account_id}:{kind.word}/{name.lower()}"


Item = TypeVar("Item")


class Shelf(Generic[Item]):
    """The resources of one kind by name. Names are compared without case."""

    def __init__(self, account: Account, kind: Kind) -> None:
        self._account = account
        self._kind = kind
        self._items: dict[str, Item] = {}

    def arn(self, name: str) -> str:
        return self._account.arn(self._kind, name)

    def __contains__(self, name: str) -> bool:
        return name.lower() in self._items

    def __iter__(self) -> Iterator[Item]:
        return iter(self._items.values())

    def __len__(self) -> int:
        return len(self._items)

    def get(self, name: str) -> Item:
        """Raises "Could not find ..." if there is no such resource."""
        try:
            return self._items[name.lower()]
        except KeyError:
            raise MISSING.error(noun=self._kind.noun, arn=self.arn(name)) from None

    def refuse_if_present(self, name: str) -> None:
        """Raises "Cannot create already existing ..." if the name is taken."""
        if name in self:
            raise EXISTS.error(noun=self._kind.noun, arn=self.arn(name))

    def put(self, name: str, item: Item) -> None:
        self._items[name.lower()] = item

    def remove(self, name: str) -> None:
        """Raises "Could not find ..." if there is no such resource."""
        self.get(name)
        del self._items[name.lower()]
