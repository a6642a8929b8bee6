"""InvokeEndpointAsync of the simulator: results in S3 of the emulator, notices over its SNS."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.simulator.inferences import AwsPlaces, Inferences
from tests.contract.emulator_process import REGION, Emulator, running_emulator
from tests.contract.simulated import Simulated, a_variant, simulated
from tests.e2e.checkout import until
from tests.topics import subscribed_queue


@dataclass(frozen=True)
class Scene:
    """An asynchronous endpoint `Async` and a synchronous one, `Falcon`."""

    aws: Emulator
    simulated: Simulated
    notices: dict[str, str]  # queue URLs by status

    def invoke(self, **how: Any) -> Any:
        return self.simulated.runtime.invoke_endpoint_async(EndpointName="Async", **how)

    def content(self, location: str) -> bytes:
        bucket, _, key = location.removeprefix("s3://").partition("/")

        def look() -> bytes | None:
            try:
                found: bytes = (
                    self.aws.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
                )
            except ClientError:
                return None
            return found

        return until(look)

    def notice(self, status: str) -> Any:
        queue = self.notices[status]
        answer = self.aws.client("sqs").receive_message(QueueUrl=queue, WaitTimeSeconds=10)
        return json.loads(json.loads(answer["Messages"][0]["Body"])["Message"])


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with running_emulator(tmp_path_factory.mktemp("emulator")) as aws:
        aws.client("s3").create_bucket(Bucket="results")
        topics, queues = {}, {}
        for status in ("Completed", "Failed"):
            topics[status], queues[status] = _topic_and_queue(aws, status)
        inferences = Inferences(AwsPlaces(aws.url, REGION, aws.key), REGION)
        with simulated(inferences=inferences) as simulator:
            simulator.has_endpoint("Falcon")
            simulator.sagemaker.create_endpoint_config(
                EndpointConfigName="later",
                ProductionVariants=[a_variant(ModelName="model")],
                AsyncInferenceConfig={
                    "OutputConfig": {
                        "S3OutputPath": "s3://results/out/",
                        "S3FailurePath": "s3://results/failed",
                        "NotificationConfig": {
                            "SuccessTopic": topics["Completed"],
                            "ErrorTopic": topics["Failed"],
                        },
                    }
                },
            )
            simulator.sagemaker.create_endpoint(EndpointName="Async", EndpointConfigName="later")
            simulator.clock.pass_seconds(300)
            yield Scene(aws, simulator, queues)
        inferences.close()


def _topic_and_queue(aws: Emulator, name: str) -> tuple[str, str]:
    topic = aws.client("sns").create_topic(Name=name)["TopicArn"]
    return topic, subscribed_queue(aws.client("sns"), aws.client("sqs"), topic, name)


def test_the_result_of_an_inline_body_is_in_s3_and_a_notice_is_sent(scene: Scene) -> None:
    body = "é\0\N{GRINNING FACE}".encode() * 1000
    answer = scene.invoke(Body=body, ContentType="text/plain")
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert answer["OutputLocation"] == f"s3://results/out/{answer['InferenceId']}.out"
    assert answer["FailureLocation"] == f"s3://results/failed/{answer['InferenceId']}-error.out"
    assert scene.content(answer["OutputLocation"]) == body
    notice = scene.notice("Completed")
    assert notice["invocationStatus"] == "Completed"
    assert notice["inferenceId"] == answer["InferenceId"]
    assert notice["responseParameters"]["outputLocation"] == answer["OutputLocation"]


def test_an_input_in_s3_is_read(scene: Scene) -> None:
    scene.aws.client("s3").put_object(Bucket="results", Key="in/1", Body=b"from S3")
    answer = scene.invoke(InputLocation="s3://results/in/1", ContentType="text/plain")
    assert scene.content(answer["OutputLocation"]) == b"from S3"
    assert scene.notice("Completed")["requestParameters"]["inputLocation"] == "s3://results/in/1"


@pytest.mark.parametrize("broken", ["the model", "the input"])
def test_a_failure_is_written_to_s3_and_a_notice_is_sent(scene: Scene, broken: str) -> None:
    if broken == "the model":
        scene.simulated.fault("InvokeEndpointAsync", "Failed")
        answer = scene.invoke(Body=b"x", ContentType="text/plain")
    else:
        answer = scene.invoke(InputLocation="s3://results/in/none", ContentType="text/plain")
    reason = scene.content(answer["FailureLocation"]).decode()
    notice = scene.notice("Failed")
    assert (notice["invocationStatus"], notice["failureReason"]) == ("Failed", reason)


def test_invalid_asynchronous_calls_are_refused(scene: Scene) -> None:
    runtime = scene.simulated.runtime
    calls: list[Callable[[], Any]] = [
        lambda: runtime.invoke_endpoint_async(EndpointName="Falcon", Body=b"x"),
        lambda: runtime.invoke_endpoint_async(EndpointName="None", Body=b"x"),
        lambda: runtime.invoke_endpoint(EndpointName="Async", Body=b"x"),
        lambda: scene.invoke(Body=b"x" * 128_001),
        lambda: scene.invoke(InputLocation="https://example.org/x"),
        lambda: scene.invoke(Body=b""),
    ]
    for call in calls:
        with pytest.raises(ClientError, match="ValidationError"):
            call()
