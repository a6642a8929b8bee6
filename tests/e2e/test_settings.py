"""Settings of an entry, and the policy for unmanaged endpoints, on the embedded stack."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from tests.e2e.calls import FLAN, get, renew, tags_of
from tests.e2e.checkout import Checkout, until
from tests.topics import subscribed_queue

FORGOTTEN = "forgotten-notebook-endpoint"
TAGS = {
    "team": "platform",
    "cost-centre": "4711",
    "endpoint-meter:stack": "demo-us-east-1",
}


@pytest.fixture(scope="module")
def metering(checkout: Checkout) -> Iterator[Checkout]:
    """The stack has tags. FLAN-T5 has scaling, tags and a fallback; unmanaged endpoints named
    `forgotten-*` are put on the meter; few endpoints may be added."""
    stop(checkout, FLAN)  # tags are given to the endpoint when it is created
    config = checkout.config()
    config |= {
        "unmanaged_endpoints": "meter",
        "unmanaged_lease_minutes": 45,
        "adoptable": ["forgotten-*"],
        "addable_configs": ["demo-*"],
        "max_added_endpoints": 1,
        "max_added_per_token_per_day": 2,
        "tags": {"team": "platform", "cost-centre": "4711"},
    }
    config["jumpstart_models"][1] |= {
        "autoscaling": {"max_capacity": 4, "invocations_per_instance": 120},
        "tags": {"team": "nlp"},
        "instance_type_fallbacks": ["ml.g5.24xlarge"],
    }
    config["jumpstart_models"][1]["integration"]["public"] = True
    checkout.up(CONFIG=checkout.write_config(config))
    yield checkout
    checkout.clear_faults()
    stop(checkout, FLAN)
    checkout.up()


def stop(checkout: Checkout, name: str) -> None:
    with checkout.api() as api:
        api.delete("/endpoint-expiry", params={"EndpointName": name}).raise_for_status()
    until(lambda: checkout.status(name) == "Absent", 60)


def autoscaling(checkout: Checkout) -> Any:
    return boto3.client(
        "application-autoscaling",
        endpoint_url=checkout.stack["sagemaker_endpoint_url"],
        region_name=checkout.stack["region"],
        aws_access_key_id=checkout.stack["aws_access_key_id"],
        aws_secret_access_key=checkout.stack["aws_secret_access_key"],
    )


def scaled(checkout: Checkout, name: str) -> list[tuple[int, int, float]]:
    """Capacity limits and target value of the endpoint's scaling; empty until there is a policy."""
    client = autoscaling(checkout)
    of = {"ServiceNamespace": "sagemaker"}
    ids = [f"endpoint/{name}/variant/AllTraffic"]
    targets = client.describe_scalable_targets(**of, ResourceIds=ids)["ScalableTargets"]
    policies = client.describe_scaling_policies(**of, ResourceId=ids[0])["ScalingPolicies"]
    values = [p["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] for p in policies]
    return [(t["MinCapacity"], t["MaxCapacity"], v) for t, v in zip(targets, values, strict=False)]


def test_a_recreated_endpoint_has_its_scaling_and_tags_again(metering: Checkout) -> None:
    renew(metering, FLAN, 60)
    until(lambda: scaled(metering, FLAN), 60)
    assert scaled(metering, FLAN) == [(1, 4, 120.0)]
    assert tags_of(metering, FLAN) == {**TAGS, "team": "nlp"}
    stop(metering, FLAN)
    assert scaled(metering, FLAN) == [], "deleting it removed its scaling"
    renew(metering, FLAN, 60)
    until(lambda: scaled(metering, FLAN), 60)
    assert scaled(metering, FLAN) == [(1, 4, 120.0)]
    assert tags_of(metering, FLAN)["team"] == "nlp"


def test_without_capacity_the_fallback_is_started_and_scaled_too(metering: Checkout) -> None:
    stop(metering, FLAN)
    until(lambda: get(metering, FLAN)["Status"] == "Absent", 60)
    metering.fault("CreateEndpoint", "Capacity", endpoint=FLAN)
    renew(metering, FLAN, 60)
    until(lambda: get(metering, FLAN)["Status"] == "InService", 90)
    until(lambda: scaled(metering, FLAN), 60)
    document = get(metering, FLAN)
    served = metering.client("sagemaker").describe_endpoint_config(
        EndpointConfigName=document["ServedConfigName"]
    )
    assert served["ProductionVariants"][0]["InstanceType"] == "ml.g5.24xlarge"
    assert document["ServedConfigName"] != document["EndpointConfigName"]


def test_a_public_route_asks_for_no_token(metering: Checkout) -> None:
    renew(metering, FLAN, 60).raise_for_status()
    until(lambda: metering.status(FLAN) == "InService", 90)
    for token in ("", "wrong"):
        with metering.api(token) as api:
            assert api.post("/flan", content=b"[1]").content == b"[1]"
            assert api.post("/endpoint-expiry", json={}).status_code in {401, 403}


def test_an_unmanaged_endpoint_gets_a_lease_our_tag_and_a_notice(metering: Checkout) -> None:
    sagemaker, sns, sqs = (metering.client(service) for service in ("sagemaker", "sns", "sqs"))
    topics = [topic["TopicArn"] for topic in sns.list_topics()["Topics"]]
    (topic,) = [each for each in topics if each.endswith(":demo-alarms")]
    url = subscribed_queue(sns, sqs, topic, "notices")
    (config, *_) = sagemaker.list_endpoint_configs()["EndpointConfigs"]
    sagemaker.create_endpoint(
        EndpointName=FORGOTTEN, EndpointConfigName=config["EndpointConfigName"]
    )
    until(lambda: metering.status(FORGOTTEN) == "InService", 30)
    swept = metering.client("lambda").invoke(FunctionName="demo-sweep", Payload=b"{}")
    assert "FunctionError" not in swept, swept["Payload"].read()
    adopted = {"endpoint-meter:stack": "demo-us-east-1/adopted"}
    until(lambda: tags_of(metering, FORGOTTEN) == adopted)
    document = get(metering, FORGOTTEN)
    assert 44 * 60 < document["SecondsLeft"] <= 45 * 60
    assert (document["Wanted"], document["Owner"]) == ("running", "api")

    def find_notice() -> str | None:
        bodies = [m["Body"] for m in sqs.receive_message(QueueUrl=url).get("Messages", [])]
        messages = [json.loads(body)["Message"] for body in bodies]
        return next((message for message in messages if FORGOTTEN in message), None)

    assert "unless it is renewed" in until(find_notice, 15)
    sqs.delete_queue(QueueUrl=url)
    stop(metering, FORGOTTEN)
    with metering.api() as api:
        query = {"EndpointName": FORGOTTEN, "forget": "true"}
        api.delete("/endpoint-expiry", params=query).raise_for_status()


def test_endpoint_that_does_not_match_adoptable_is_refused_and_left_alone(
    metering: Checkout,
) -> None:
    sagemaker = metering.client("sagemaker")
    config = sagemaker.list_endpoint_configs()["EndpointConfigs"][0]["EndpointConfigName"]
    sagemaker.create_endpoint(EndpointName="precious", EndpointConfigName=config)
    until(lambda: metering.status("precious") == "InService", 30)
    body = {"EndpointName": "precious", "EndpointConfigName": config, "minutes": 5, "adopt": True}
    with metering.api(metering.stack["admin_token"]) as api:
        answer = api.post("/endpoint-expiry", json=body)
        assert (answer.status_code, answer.json()["code"]) == (403, "NotAdoptable")
        assert api.get("/endpoint-expiry", params={"EndpointName": "precious"}).status_code == 404
    swept = metering.client("lambda").invoke(FunctionName="demo-sweep", Payload=b"{}")
    assert "FunctionError" not in swept, swept["Payload"].read()
    assert tags_of(metering, "precious") == {}
    sagemaker.delete_endpoint(EndpointName="precious")


def test_adding_is_limited_by_config_by_number_and_by_day(metering: Checkout) -> None:
    sagemaker = metering.client("sagemaker")
    configs = [
        each["EndpointConfigName"] for each in sagemaker.list_endpoint_configs()["EndpointConfigs"]
    ]
    config = next(name for name in configs if name.startswith("demo-"))
    model = sagemaker.describe_endpoint_config(EndpointConfigName=config)["ProductionVariants"]
    sagemaker.create_endpoint_config(EndpointConfigName="elsewhere", ProductionVariants=model)

    token = metering.new_token("add renew")  # it has not used its daily quota yet

    def add(name: str, config: str) -> tuple[int, str | None]:
        body = {"EndpointName": name, "EndpointConfigName": config, "minutes": 1}
        with metering.api(token) as api:
            answer = api.post("/endpoint-expiry", json=body)
        if answer.status_code == 429:
            assert 0 < int(answer.headers["Retry-After"]) <= 86_400
        return answer.status_code, answer.json().get("code")

    def forget(name: str) -> None:
        with metering.api(token) as api:
            query = {"EndpointName": name, "forget": "true"}
            api.delete("/endpoint-expiry", params=query).raise_for_status()

    assert add("first", "elsewhere") == (422, "ConfigNotAddable")
    assert add("first", config) == (201, None)
    until(lambda: metering.status("first") != "Absent", 60)
    assert tags_of(metering, "first") == TAGS
    assert add("second", config) == (409, "TooManyAdded")
    forget("first")
    assert add("second", config) == (201, None)
    forget("second")
    assert add("third", config) == (429, "TooManyAddedToday")
    for name in ("first", "second"):
        until(lambda name=name: metering.status(name) == "Absent", 60)  # type: ignore[misc]
    sagemaker.delete_endpoint_config(EndpointConfigName="elsewhere")
