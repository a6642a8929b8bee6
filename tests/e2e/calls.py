"""API calls that many tests make."""

from __future__ import annotations

from typing import Any

import httpx

from tests.e2e.checkout import Checkout, until

FALCON = "demo-Falcon40B-Endpoint"
FLAN = "demo-FlanT5-Endpoint"


def get(checkout: Checkout, name: str) -> dict[str, Any]:
    with checkout.api() as api:
        answer = api.get("/endpoint-expiry", params={"EndpointName": name})
    document: dict[str, Any] = answer.raise_for_status().json()
    return document


def renew(checkout: Checkout, name: str, minutes: int, **headers: str) -> httpx.Response:
    body = {"EndpointName": name, "minutes": minutes}
    with checkout.api() as api:
        return api.post("/endpoint-expiry", json=body, headers=headers)


def stop(checkout: Checkout, name: str) -> None:
    with checkout.api() as api:
        api.delete("/endpoint-expiry", params={"EndpointName": name}).raise_for_status()
    until(lambda: get(checkout, name)["Status"] == "Absent", 60)


def tags_of(checkout: Checkout, name: str) -> dict[str, str]:
    sagemaker = checkout.client("sagemaker")
    arn = sagemaker.describe_endpoint(EndpointName=name)["EndpointArn"]
    return {tag["Key"]: tag["Value"] for tag in sagemaker.list_tags(ResourceArn=arn)["Tags"]}
