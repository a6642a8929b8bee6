"""SageMaker's public hub, with JumpStart documents from a folder."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from local.simulator.account import Account
from local.simulator.call import Call, epoch
from local.simulator.errors import NO_HUB, NO_HUB_CONTENT
from local.simulator.lifecycle import Json
from local.simulator.listing import Entry, page

HUB = "SageMakerPublicHub"
_PUBLISHED_AT = datetime(2024, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Content:
    """A version of a model."""

    name: str
    version: str
    document: str
    support: str = "Supported"

    @property
    def age(self) -> tuple[int, ...]:
        """The version as numbers: greater for newer versions."""
        return tuple(map(int, self.version.split(".")))


class PublicHub:
    """The models of one region."""

    def __init__(self, account: Account, contents: Iterable[Content]) -> None:
        self._account = account
        self._models: dict[str, list[Content]] = {}
        for content in sorted(contents, key=lambda each: each.age):
            self._models.setdefault(content.name, []).append(content)

    @classmethod
    def read(cls, account: Account, folder: Path) -> PublicHub:
        """Read a folder of documents `{region}/{model id}/{version}[.{support status}].json`."""
        return cls(account, map(_content, (folder / account.region).glob("*/*.json")))

    def describe(self, call: Call) -> Json:
        versions = self._versions(call.request)
        wanted = call.request.get("HubContentVersion", versions[-1].version)
        for content in versions:
            if content.version == wanted:
                return {
                    **self._summary(content),
                    "HubName": HUB,
                    "HubArn": self._arn("hub", HUB),
                    "HubContentDocument": content.document,
                }
        raise NO_HUB_CONTENT.error(name=f"{content.name} and version {wanted}")

    def list_models(self, call: Call) -> Json:
        _check_hub(call.request)
        latest = (versions[-1] for versions in self._models.values())
        rows = (self._entry(content.name, content) for content in latest)
        return page(rows, call.request, "HubContentSummaries")

    def list_versions(self, call: Call) -> Json:
        rows = (self._entry(each.version, each) for each in self._versions(call.request))
        return page(rows, call.request, "HubContentSummaries")

    def _versions(self, request: Json) -> list[Content]:
        """The versions of the requested model, the newest last. Raises if there is none."""
        _check_hub(request)
        name = request["HubContentName"]
        if request["HubContentType"] != "Model" or name not in self._models:
            raise NO_HUB_CONTENT.error(name=name)
        return self._models[name]

    def _entry(self, key: str, content: Content) -> Entry:
        return Entry(key, _PUBLISHED_AT, self._summary(content))

    def _summary(self, content: Content) -> Json:
        arn = self._arn("hub-content", f"{HUB}/Model/{content.name}/{content.version}")
        return {
            "HubContentName": content.name,
            "HubContentArn": arn,
            "HubContentVersion": content.version,
            "HubContentType": "Model",
            "DocumentSchemaVersion": "2.3.0",
            "SupportStatus": content.support,
            "HubContentStatus": "Available",
            "CreationTime": epoch(_PUBLISHED_AT),
        }

    def _arn(self, kind: str, name: str) -> str:
        return f"arn:aws:sagemaker:{self._account.region}:aws:{kind}/{name}"


def _content(path: Path) -> Content:
    *version, last = path.stem.split(".")
    document = path.read_text(encoding="utf-8")
    if last.isdecimal():
        return Content(path.parent.name, path.stem, document)
    return Content(path.parent.name, ".".join(version), document, last.capitalize())


def _check_hub(request: Json) -> None:
    name = request["HubName"].rpartition("/")[2]
    if name != HUB:
        raise NO_HUB.error(name=name)
