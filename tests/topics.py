"""Listening to topics of the embedded AWS."""

from __future__ import annotations

from typing import Any

from constructs_lib.policy import Conditions, resource_document, service_may


def subscribed_queue(sns: Any, sqs: Any, topic_arn: str, name: str) -> str:
    """The URL of a new queue that the topic, and nobody else, may send to."""
    url: str = sqs.create_queue(QueueName=name)["QueueUrl"]
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    arn = found["Attributes"]["QueueArn"]
    on_behalf: Conditions = {"ArnEquals": {"aws:SourceArn": topic_arn}}
    policy = resource_document(service_may("sns.amazonaws.com", "sqs:SendMessage", arn, on_behalf))
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    sns.subscribe(TopicArn=topic_arn, Protocol="sqs", Endpoint=arn)
    return url
