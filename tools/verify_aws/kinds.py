"""The kinds of things that questions make: how those of any run are found, and how one is removed.

All have names that begin with `PREFIX`; of log groups, which AWS makes, it is the last part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from lambdas.aws.errors import refusal
from lambdas.core.errors import Gone, InProgress
from lambdas.core.ports import NO_CONFIG
from lambdas.core.settings import ENDPOINT_LOGS
from tools.verify_aws.aws import Aws

PREFIX = "endpoint-meter-verify-"
_FUNCTION_LOGS = "/aws/lambda"
_REMOVAL_SECONDS = 20 * 60.0
"""SageMaker deletes no endpoint that is still being created."""
_GONE = frozenset(
    {
        "404",
        "AWS.SimpleQueueService.NonExistentQueue",
        "DashboardNotFoundError",
        "NoSuchBucket",
        "NoSuchEntity",
        "NotFoundException",
        "QueueDoesNotExist",
        "ResourceNotFound",
        "ResourceNotFoundException",
        "StateMachineDoesNotExist",
    }
)
_BUSY = frozenset(
    {
        "DeleteConflict",
        "ResourceConflictException",
        "ResourceInUseException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",  # one API may be deleted every 30 seconds
    }
)


@dataclass(frozen=True)
class Kind:
    """`find` lists the names that begin with PREFIX. `logs`: where it may have a log group."""

    noun: str
    find: Callable[[Aws], Iterator[str]]
    delete: Callable[[Aws, str], None]
    logs: str = ""

    def remove(self, aws: Aws, name: str) -> None:
        """Delete it, however long AWS is busy with it. Nothing happens if it does not exist.

        Raises NotInTime, and errors of botocore.
        """

        def deleted() -> bool | None:
            try:
                self.delete(aws, name)
            except ClientError as error:
                if _is_gone(error):
                    return True
                if _is_busy(error):
                    return None
                raise
            return True

        aws.until(f"the removal of {self.noun} {name}", deleted, _REMOVAL_SECONDS)


def _is_gone(error: ClientError) -> bool:
    message = error.response["Error"].get("Message", "")
    return (
        error.response["Error"].get("Code") in _GONE
        or isinstance(refusal(error), Gone)
        or message.startswith((NO_CONFIG, "Could not find model "))
    )


def _is_busy(error: ClientError) -> bool:
    return error.response["Error"].get("Code") in _BUSY or isinstance(refusal(error), InProgress)


def leftovers(aws: Aws) -> Sequence[tuple[Kind, str]]:
    """What a run that was killed has left, in the order in which it can be removed."""
    return [(kind, name) for kind in KINDS for name in kind.find(aws)]


def _ours(names: Iterator[str]) -> Iterator[str]:
    return (name for name in names if name.startswith(PREFIX))


def _paged(service: str, operation: str, key: str, name: str, **request: Any) -> Any:
    def find(aws: Aws) -> Iterator[str]:
        pages = aws.client(service).get_paginator(operation).paginate(**request)
        return _ours(item[name] for page in pages for item in page.get(key, ()))

    return find


def _delete_endpoint(aws: Aws, name: str) -> None:
    sagemaker = aws.client("sagemaker")
    sagemaker.delete_endpoint(EndpointName=name)
    aws.until(f"the deletion of {name}", lambda: _is_absent(sagemaker, name), _REMOVAL_SECONDS)


def _delete_logs(aws: Aws, group: str) -> None:
    aws.client("logs").delete_log_group(logGroupName=group)


def _find_logs(aws: Aws) -> Iterator[str]:
    pages = aws.client("logs").get_paginator("describe_log_groups")
    for place in (_FUNCTION_LOGS, ENDPOINT_LOGS):
        for page in pages.paginate(logGroupNamePrefix=f"{place}/{PREFIX}"):
            yield from (group["logGroupName"] for group in page["logGroups"])


def _is_absent(sagemaker: Any, name: str) -> bool | None:
    try:
        sagemaker.describe_endpoint(EndpointName=name)
    except ClientError as error:
        if isinstance(refusal(error), Gone):
            return True
        raise
    return None


def _delete_function(aws: Aws, name: str) -> None:
    functions = aws.client("lambda")
    pages = functions.get_paginator("list_event_source_mappings").paginate(FunctionName=name)
    for mapping in [mapping for page in pages for mapping in page["EventSourceMappings"]]:
        if mapping["State"] != "Deleting":
            functions.delete_event_source_mapping(UUID=mapping["UUID"])
    functions.delete_function(FunctionName=name)


def _delete_machine(aws: Aws, name: str) -> None:
    arn = aws.arn("states", f"stateMachine:{name}")
    aws.client("stepfunctions").delete_state_machine(stateMachineArn=arn)


def _delete_api(aws: Aws, name: str) -> None:
    apis = aws.client("apigateway")
    pages = apis.get_paginator("get_rest_apis").paginate()
    for api in [api for page in pages for api in page["items"] if api["name"] == name]:
        apis.delete_rest_api(restApiId=api["id"])


def _delete_rule(aws: Aws, name: str) -> None:
    events = aws.client("events")
    targets = [target["Id"] for target in events.list_targets_by_rule(Rule=name)["Targets"]]
    if targets:
        events.remove_targets(Rule=name, Ids=targets)
    events.delete_rule(Name=name)


def _find_queues(aws: Aws) -> Iterator[str]:
    pages = aws.client("sqs").get_paginator("list_queues").paginate(QueueNamePrefix=PREFIX)
    return (url.rpartition("/")[2] for page in pages for url in page.get("QueueUrls", ()))


def _delete_queue(aws: Aws, name: str) -> None:
    queues = aws.client("sqs")
    queues.delete_queue(QueueUrl=queues.get_queue_url(QueueName=name)["QueueUrl"])


def _find_buckets(aws: Aws) -> Iterator[str]:
    return _ours(bucket["Name"] for bucket in aws.client("s3").list_buckets()["Buckets"])


def _delete_bucket(aws: Aws, name: str) -> None:
    store = aws.client("s3")
    for stored in store.list_objects_v2(Bucket=name).get("Contents", ()):
        store.delete_object(Bucket=name, Key=stored["Key"])
    store.delete_bucket(Bucket=name)


def _delete_role(aws: Aws, name: str) -> None:
    iam = aws.client("iam")
    for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
        iam.delete_role_policy(RoleName=name, PolicyName=policy)
    iam.delete_role(RoleName=name)


ENDPOINT = Kind(
    "endpoint",
    _paged("sagemaker", "list_endpoints", "Endpoints", "EndpointName", NameContains=PREFIX),
    _delete_endpoint,
    ENDPOINT_LOGS,
)
CONFIG = Kind(
    "endpoint config",
    _paged(
        "sagemaker",
        "list_endpoint_configs",
        "EndpointConfigs",
        "EndpointConfigName",
        NameContains=PREFIX,
    ),
    lambda aws, name: aws.client("sagemaker").delete_endpoint_config(EndpointConfigName=name),
)
MODEL = Kind(
    "model",
    _paged("sagemaker", "list_models", "Models", "ModelName", NameContains=PREFIX),
    lambda aws, name: aws.client("sagemaker").delete_model(ModelName=name),
)
FUNCTION = Kind(
    "function",
    _paged("lambda", "list_functions", "Functions", "FunctionName"),
    _delete_function,
    _FUNCTION_LOGS,
)
MACHINE = Kind(
    "state machine",
    _paged("stepfunctions", "list_state_machines", "stateMachines", "name"),
    _delete_machine,
)
API = Kind("REST API", _paged("apigateway", "get_rest_apis", "items", "name"), _delete_api)
RULE = Kind(
    "rule", _paged("events", "list_rules", "Rules", "Name", NamePrefix=PREFIX), _delete_rule
)
QUEUE = Kind("queue", _find_queues, _delete_queue)
DASHBOARD = Kind(
    "dashboard",
    _paged(
        "cloudwatch",
        "list_dashboards",
        "DashboardEntries",
        "DashboardName",
        DashboardNamePrefix=PREFIX,
    ),
    lambda aws, name: aws.client("cloudwatch").delete_dashboards(DashboardNames=[name]),
)
BUCKET = Kind("bucket", _find_buckets, _delete_bucket)
LOGS = Kind("log group", _find_logs, _delete_logs)
ROLE = Kind("role", _paged("iam", "list_roles", "Roles", "RoleName"), _delete_role)

KINDS = (
    *(ENDPOINT, CONFIG, MODEL, FUNCTION, LOGS, MACHINE, API, RULE, QUEUE, DASHBOARD),
    *(BUCKET, ROLE),
)
"""Roles last: what acts under them is removed first."""
