"""Reads JumpStart's public hub with boto3."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from client.account import OF_THE_ENVIRONMENT, Account, NotThisAccount

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sagemaker.type_defs import HubContentInfoTypeDef

HUB = "SageMakerPublicHub"
_MODEL: Literal["Model"] = "Model"
_PAGE = 100
_NEAR = 5


class HubUnreachable(Exception):
    """No credentials, no network, no permission, or throttled too long. The message says which."""


class ModelMissing(Exception):
    """The hub has no such model. `near` are similar names."""

    def __init__(self, near: Sequence[str]) -> None:
        super().__init__()
        self.near = near


class VersionMissing(Exception):
    """The hub only has other versions of the model: `versions`, newest first."""

    def __init__(self, versions: Sequence[str]) -> None:
        super().__init__()
        self.versions = versions


class DocumentUnreadable(Exception):
    """The hub's answer is not a valid document. The message says why."""


@dataclass(frozen=True, slots=True)
class Published:
    """A version of a model in the hub. `support` is Supported, Deprecated or Restricted. `status`
    is Available unless the hub is processing it."""

    version: str
    support: str
    status: str
    document: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Listed:
    """A version of a model in a listing."""

    version: str
    support: str


def connect(region: str, way: Account = OF_THE_ENVIRONMENT) -> SageMakerClient:
    """A client with the user's credentials. Raises HubUnreachable if they are not usable."""
    config = Config(
        connect_timeout=5, read_timeout=30, retries={"mode": "standard", "total_max_attempts": 4}
    )
    try:
        return way.session(region).client("sagemaker", config=config)
    except (BotoCoreError, NotThisAccount) as error:
        raise HubUnreachable(_one_line(error)) from error


class Hub:
    """The public hub of one region."""

    def __init__(self, client: SageMakerClient) -> None:
        self._client = client

    def describe(self, model_id: str, version: str | None) -> Published:
        """The given version, or the latest. Raises ModelMissing, VersionMissing, DocumentUnreadable
        and HubUnreachable."""
        which = {"HubContentVersion": version} if version else {}
        try:
            answer = self._client.describe_hub_content(
                HubName=HUB, HubContentType=_MODEL, HubContentName=model_id, **which
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFound":
                raise HubUnreachable(_refusal(error)) from error
            versions = self.versions(model_id) if version else []
            if versions:
                raise VersionMissing([each.version for each in versions]) from error
            raise ModelMissing(self._near(model_id)) from error
        except BotoCoreError as error:
            raise HubUnreachable(_one_line(error)) from error
        return Published(
            version=answer["HubContentVersion"],
            support=answer.get("SupportStatus", "Supported"),
            status=answer["HubContentStatus"],
            document=_parsed(answer["HubContentDocument"]),
        )

    def versions(self, model_id: str) -> list[Listed]:
        """All versions, newest first; none if there is no such model. Raises HubUnreachable."""
        listed = [
            Listed(each["HubContentVersion"], each.get("SupportStatus", "Supported"))
            for each in self._pages(
                "list_hub_content_versions", HubName=HUB, HubContentType=_MODEL,
                HubContentName=model_id,
            )
        ]  # fmt: skip
        return sorted(listed, key=lambda each: _numbers(each.version), reverse=True)

    def _near(self, model_id: str) -> list[str]:
        """Similar names; none if the caller may not list them."""
        try:
            pages = self._pages("list_hub_contents", HubName=HUB, HubContentType=_MODEL)
            names = [each["HubContentName"] for each in pages]
        except HubUnreachable:
            return []
        longer = [name for name in names if model_id in name]
        alike = difflib.get_close_matches(model_id, names, _NEAR)
        return list(dict.fromkeys([*alike, *longer]))[:_NEAR]

    def _pages(
        self, operation: Literal["list_hub_contents", "list_hub_content_versions"], **request: str
    ) -> Iterator[HubContentInfoTypeDef]:
        """Both operations return pages, but botocore has no paginator for them."""
        token: dict[str, str] = {}
        while True:
            try:
                answer = getattr(self._client, operation)(MaxResults=_PAGE, **request, **token)
            except ClientError as error:
                if error.response["Error"]["Code"] == "ResourceNotFound":
                    return
                raise HubUnreachable(_refusal(error)) from error
            except BotoCoreError as error:
                raise HubUnreachable(_one_line(error)) from error
            yield from answer["HubContentSummaries"]
            if not answer.get("NextToken"):
                return
            token = {"NextToken": answer["NextToken"]}


def _parsed(text: str) -> Mapping[str, Any]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DocumentUnreadable(f"its document is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise DocumentUnreadable("its document is not a JSON object")
    return document


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdecimal())


def _refusal(error: ClientError) -> str:
    details = error.response["Error"]
    return _one_line(f"{error.operation_name}: {details.get('Code')}: {details.get('Message')}")


def _one_line(error: object) -> str:
    line = " ".join(str(error).split())
    if isinstance(error, NoCredentialsError):
        return f"{line}: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    return line
