"""Other users of the machine, and pages in a browser, can do nothing with the embedded AWS."""

from __future__ import annotations

import stat
from dataclasses import asdict
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from local.key import Key
from tests.e2e.checkout import Checkout

STRANGERS = {
    "the usual key": {"aws_access_key_id": "test", "aws_secret_access_key": "test"},
    "the number of the account": {
        "aws_access_key_id": "000000000000",
        "aws_secret_access_key": "test",
    },
    "a key of another start": asdict(Key.made()),
    "no key": {"config": Config(signature_version=UNSIGNED)},
}


@pytest.mark.parametrize("stranger", STRANGERS)
def test_a_stranger_cannot_read_or_insert_tokens(checkout: Checkout, stranger: str) -> None:
    auth = {"TableName": checkout.stack["auth_table"]}
    credentials: Any = STRANGERS[stranger]
    dynamodb: Any = boto3.client(
        "dynamodb",
        endpoint_url=checkout.stack["aws_endpoint_url"],
        region_name=checkout.stack["region"],
        **credentials,
    )
    item = {"token": {"S": "sha256:00"}, "scopes": {"S": "read"}}
    before = checkout.client("dynamodb").scan(**auth)["Items"]

    for call, arguments in ((dynamodb.scan, {}), (dynamodb.put_item, {"Item": item})):
        with pytest.raises(ClientError) as refused:
            call(**auth, **arguments)
        assert refused.value.response["Error"]["Code"] in {
            "UnrecognizedClientException",
            "MissingAuthenticationTokenException",
        }

    assert checkout.client("dynamodb").scan(**auth)["Items"] == before


def test_a_page_in_a_browser_cannot_run_a_function(checkout: Checkout) -> None:
    url = checkout.stack["aws_endpoint_url"]
    headers = {"Origin": "https://evil.example", "Content-Type": "text/plain"}

    answer = httpx.post(f"{url}/2015-03-31/functions/demo-tick/invocations", headers=headers)

    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers


def test_only_the_owner_of_the_checkout_can_read_the_key(checkout: Checkout) -> None:
    home = checkout.folder / ".local"
    files = [file for file in home.rglob("*") if file.is_file()]
    holders = [file for file in files if key_is_in(checkout, file.read_bytes())]

    assert {file.name for file in holders} == {"key.json", "stack.json"}
    assert {stat.S_IMODE(file.stat().st_mode) for file in holders} == {0o600}
    command_lines = [
        Path(f"/proc/{pid}/cmdline").read_bytes() for pid in checkout.stack["pids"].values()
    ]
    assert not any(key_is_in(checkout, line) for line in command_lines)


def key_is_in(checkout: Checkout, content: bytes) -> bool:
    return checkout.stack["aws_secret_access_key"].encode() in content
