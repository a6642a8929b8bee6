"""Print the smallest IAM policy with which `make plan`, `make deploy` and `make destroy` work:
`python -m tools.deployer_policy --account 123456789012`.

It fits the config that CONFIG names. tests/e2e/test_deployer_of_everything.py deploys all examples
under it and compares it with every action that the deploy asked for.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence

from constructs_lib.config.document import DeployConfig, JumpstartModel, S3Backend
from constructs_lib.config.problems import InvalidConfig
from constructs_lib.deployment import Deployment
from constructs_lib.policy import Conditions, Statement, policy_document
from tools.bootstrap import ROOT
from tools.deployed_stack import Source

AWS, CHINA, GOVERNMENT = "aws", "aws-cn", "aws-us-gov"
LOGS_POLICY = "service-role/AmazonAPIGatewayPushToCloudWatchLogs"
SERVICES = ("apigateway", "lambda", "sagemaker", "scheduler", "states")
"""Those that get roles of the stack."""
LOGGING = ("apigateway", "lambda")

OF_TABLES = (
    "CreateTable DeleteTable DescribeContinuousBackups DescribeTable DescribeTimeToLive "
    "ListTagsOfResource TagResource UpdateContinuousBackups UpdateTable UpdateTimeToLive"
)
OF_SPECS = "DeleteItem GetItem PutItem UpdateItem"
OF_QUEUES = "CreateQueue DeleteQueue GetQueueAttributes ListQueueTags SetQueueAttributes TagQueue"
OF_TOPICS = (
    "CreateTopic DeleteTopic GetTopicAttributes ListTagsForResource SetTopicAttributes Subscribe "
    "TagResource"
)
OF_FUNCTIONS = (
    "AddPermission CreateAlias CreateFunction DeleteAlias DeleteFunction "
    "DeleteFunctionConcurrency DeleteProvisionedConcurrencyConfig GetAlias GetFunction "
    "GetFunctionCodeSigningConfig GetFunctionConcurrency GetFunctionConfiguration "
    "GetFunctionRecursionConfig GetPolicy GetProvisionedConcurrencyConfig "
    "ListVersionsByFunction PublishVersion PutFunctionConcurrency PutFunctionRecursionConfig "
    "PutProvisionedConcurrencyConfig RemovePermission TagResource UpdateAlias UpdateFunctionCode "
    "UpdateFunctionConfiguration"
)
OF_MAPPINGS = "DeleteEventSourceMapping UpdateEventSourceMapping"
OF_LAYERS = "DeleteLayerVersion GetLayerVersion PublishLayerVersion"
OF_RULES = (
    "DeleteRule DescribeRule ListTagsForResource ListTargetsByRule PutRule PutTargets "
    "RemoveTargets TagResource"
)
OF_SCHEDULES = "CreateSchedule DeleteSchedule GetSchedule UpdateSchedule"
OF_MACHINES = (
    "CreateStateMachine DeleteStateMachine DescribeStateMachine ListStateMachineVersions "
    "ListTagsForResource TagResource UpdateStateMachine"
)
OF_LOGS = (
    "CreateLogGroup DeleteLogGroup DeleteMetricFilter DescribeMetricFilters ListTagsForResource "
    "PutMetricFilter PutRetentionPolicy TagResource"
)
OF_ALARMS = "DeleteAlarms DescribeAlarms ListTagsForResource PutMetricAlarm TagResource"
OF_DASHBOARDS = "DeleteDashboards GetDashboard PutDashboard"
OF_ROLES = (
    "CreateRole DeleteRole DeleteRolePolicy GetRole GetRolePolicy ListAttachedRolePolicies "
    "ListInstanceProfilesForRole ListRolePolicies PutRolePolicy TagRole UpdateAssumeRolePolicy"
)
OF_BUCKETS = (
    "CreateBucket DeleteBucket DeleteBucketPolicy GetAccelerateConfiguration GetBucketAcl "
    "GetBucketCORS GetBucketLogging GetBucketObjectLockConfiguration GetBucketPolicy "
    "GetBucketPublicAccessBlock GetBucketRequestPayment GetBucketTagging GetBucketVersioning "
    "GetBucketWebsite GetEncryptionConfiguration GetLifecycleConfiguration "
    "GetReplicationConfiguration ListBucket ListBucketVersions PutBucketPolicy "
    "PutBucketPublicAccessBlock PutBucketTagging PutEncryptionConfiguration "
    "PutLifecycleConfiguration"
)
OF_CODE = "AbortMultipartUpload GetObject GetObjectTagging PutObject PutObjectTagging"
EMPTYING = "DeleteObject DeleteObjectVersion"
OF_HOSTING = (
    "AddTags CreateEndpointConfig CreateModel DeleteEndpointConfig DeleteModel "
    "DescribeEndpointConfig DescribeModel ListTags"
)
OF_CLIENTS = "CreateUserPoolClient DeleteUserPoolClient DescribeUserPoolClient UpdateUserPoolClient"
OF_POOLS = (
    "CreateGroup DeleteGroup DeleteUserPool DescribeUserPool GetGroup GetUserPoolMfaConfig "
    "TagResource UpdateUserPool"
)
OF_KEYS = "CreateGrant Decrypt DescribeKey Encrypt GenerateDataKey ReEncryptFrom ReEncryptTo"


def statements(config: DeployConfig, at: Deployment) -> Iterator[Statement]:
    """What the deployer of this config is allowed, by service."""
    yield from _storage(config, at)
    yield from _functions(at)
    yield from _events(at)
    yield from _watching(at)
    yield from _roles(config, at)
    yield from _api(config, at)
    yield from _users(config, at)
    yield from _hosting(at)
    yield from _state(config, at)
    yield from _keys(config, at)


def policy(config: DeployConfig, account: str) -> str:
    """The policy as JSON."""
    at = Deployment(
        prefix=config.project_prefix,
        region=config.region_name,
        stack_tag=config.stack_tag,
        account_id=account,
        partition=partition_of(config.region_name),
        dns_suffix="",
    )
    return policy_document(statements(config, at))


def partition_of(region: str) -> str:
    """The partition of a region."""
    if region.startswith("cn-"):
        return CHINA
    return GOVERNMENT if region.startswith("us-gov-") else AWS


def _storage(config: DeployConfig, at: Deployment) -> Iterator[Statement]:
    tables = [at.arn("dynamodb", f"table/{at.name('*')}")]
    if config.create_auth_table:
        tables.append(at.arn("dynamodb", f"table/{config.ddb_auth_table_name}"))
    yield _allowed("dynamodb", OF_TABLES, *tables)
    yield _allowed("dynamodb", OF_SPECS, at.arn("dynamodb", f"table/{at.name('state')}"))
    # The provider looks up the key of tables that DynamoDB encrypts with its own.
    yield Statement(
        ("kms:DescribeKey",),
        (at.arn("kms", "key/*"),),
        {"StringEquals": {"kms:RequestAlias": "alias/aws/dynamodb"}},
    )
    yield _allowed("sqs", OF_QUEUES, at.arn("sqs", at.name("*")))
    yield _allowed("sns", OF_TOPICS, at.arn("sns", at.name("*")))
    yield Statement(
        ("sns:GetSubscriptionAttributes", "sns:Unsubscribe"),
        ("*",),
        reason="subscriptions have no permissions of their own",
    )
    buckets = [
        f"arn:{at.partition}:s3:::{at.bucket_name(name)}" for name in ("code", "data", "results")
    ]
    yield _allowed("s3", OF_BUCKETS, *buckets)
    yield _allowed("s3", OF_CODE, f"{buckets[0]}/*")
    yield _allowed("s3", EMPTYING, *(f"{bucket}/*" for bucket in buckets))


def _functions(at: Deployment) -> Iterator[Statement]:
    functions = at.arn("lambda", f"function:{at.name('*')}")
    ours: Conditions = {"ArnLike": {"lambda:FunctionArn": functions}}
    mappings = at.arn("lambda", "event-source-mapping:*")
    yield _allowed("lambda", OF_FUNCTIONS, functions)
    # It writes what a deploy declared, waits for it, and stops the endpoints of a destroy.
    yield _allowed("lambda", "InvokeFunction", at.arn("lambda", f"function:{at.name('sweep')}"))
    yield Statement(
        ("lambda:CreateEventSourceMapping",),
        ("*",),
        ours,
        reason="a mapping gets its name when it is created",
    )
    yield Statement(_named("lambda", OF_MAPPINGS), (mappings,), ours)
    # Terraform asks until a mapping is gone, and one that is gone has no function.
    yield _allowed("lambda", "GetEventSourceMapping ListTags TagResource", mappings)
    yield _allowed("lambda", OF_LAYERS, at.arn("lambda", f"layer:{at.name('*')}"))
    yield Statement(("lambda:GetAccountSettings",), ("*",), reason="it belongs to the account")


def _events(at: Deployment) -> Iterator[Statement]:
    yield _allowed("events", OF_RULES, at.arn("events", f"rule/{at.name('*')}"))
    yield _allowed(
        "scheduler", OF_SCHEDULES, at.arn("scheduler", f"schedule/default/{at.name('*')}")
    )
    yield _allowed("states", OF_MACHINES, at.arn("states", f"stateMachine:{at.name('*')}"))
    yield Statement(
        ("states:ValidateStateMachineDefinition",), ("*",), reason="a definition is no resource"
    )


def _watching(at: Deployment) -> Iterator[Statement]:
    groups = [
        at.arn("logs", f"log-group:/aws/{of}/{at.name('*')}") for of in ("apigateway", "lambda")
    ]
    yield _allowed("logs", OF_LOGS, *groups)
    yield Statement(("logs:DescribeLogGroups",), ("*",), reason="it is a search")
    yield _allowed("cloudwatch", OF_ALARMS, at.arn("cloudwatch", f"alarm:{at.name('*')}"))
    dashboard = f"arn:{at.partition}:cloudwatch::{at.account_id}:dashboard/{at.name('endpoints')}"
    yield _allowed("cloudwatch", OF_DASHBOARDS, dashboard)


def _log_groups(at: Deployment) -> list[str]:
    return [at.arn("logs", f"log-group:/aws/{of}/{at.name('*')}") for of in LOGGING]


def _roles(config: DeployConfig, at: Deployment) -> Iterator[Statement]:
    roles = f"arn:{at.partition}:iam::{at.account_id}:role/{at.prefix}-{at.region}-*"
    yield _allowed("iam", OF_ROLES, roles)
    passed = {
        "StringEquals": {"iam:PassedToService": [f"{name}.amazonaws.com" for name in SERVICES]}
    }
    yield Statement(("iam:PassRole",), (roles,), passed)
    own = sorted({role for entry in config.jumpstart_models for role in _own_roles(entry)})
    if own:
        hosting = {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
        yield Statement(("iam:PassRole",), tuple(own), hosting)
    if config.api_gateway_account_role:
        logs = f"arn:{at.partition}:iam::aws:policy/{LOGS_POLICY}"
        yield Statement(
            ("iam:AttachRolePolicy", "iam:DetachRolePolicy"),
            (roles,),
            {"ArnEquals": {"iam:PolicyARN": logs}},
        )


def _own_roles(entry: JumpstartModel) -> Iterator[str]:
    for source in (entry, *(entry.variants or ()), *entry.shadow_variants):
        if source.execution_role_arn:
            yield source.execution_role_arn


def _api(config: DeployConfig, at: Deployment) -> Iterator[Statement]:
    base = f"arn:{at.partition}:apigateway:{at.region}::"
    # API Gateway chooses the ids of APIs, so these are all REST APIs of the region.
    yield _allowed("apigateway", "POST", f"{base}/restapis")
    yield _allowed("apigateway", "DELETE GET PATCH POST PUT", f"{base}/restapis/*")
    yield _allowed("apigateway", "PUT", f"{base}/tags/*")
    if config.api_gateway_account_role:
        yield _allowed("apigateway", "GET PATCH", f"{base}/account")


def _users(config: DeployConfig, at: Deployment) -> Iterator[Statement]:
    if config.auth is None:
        return
    if config.auth.user_pool_arn:
        yield _allowed("cognito-idp", OF_CLIENTS, config.auth.user_pool_arn)
        return
    yield _allowed("cognito-idp", f"{OF_CLIENTS} {OF_POOLS}", at.arn("cognito-idp", "userpool/*"))
    yield Statement(
        ("cognito-idp:CreateUserPool",), ("*",), reason="a pool gets its id when it is created"
    )


def _hosting(at: Deployment) -> Iterator[Statement]:
    # In ARNs, SageMaker writes names in lower case.
    names = sorted({at.name("*"), at.name("*").lower()})
    kinds = ("endpoint-config", "model")
    yield _allowed(
        "sagemaker",
        OF_HOSTING,
        *(at.arn("sagemaker", f"{kind}/{name}") for kind in kinds for name in names),
    )


def _state(config: DeployConfig, at: Deployment) -> Iterator[Statement]:
    backend = config.backend
    if isinstance(backend, S3Backend):
        bucket = f"arn:{at.partition}:s3:::{backend.bucket}"
        yield _allowed("s3", "ListBucket", bucket)
        yield _allowed("s3", "GetObject PutObject", f"{bucket}/{backend.key}")
        yield _allowed("s3", "DeleteObject GetObject PutObject", f"{bucket}/{backend.key}.tflock")
        if backend.kms_key_id:
            key = backend.kms_key_id
            arn = key if key.startswith("arn:") else at.arn("kms", f"key/{key}")
            yield _allowed("kms", "Decrypt GenerateDataKey", arn)


def _keys(config: DeployConfig, at: Deployment) -> Iterator[Statement]:
    if config.kms_key_arn:
        yield _allowed("kms", OF_KEYS, config.kms_key_arn)
        yield _allowed("logs", "AssociateKmsKey DisassociateKmsKey", *_log_groups(at))


def _allowed(service: str, actions: str, *resources: str) -> Statement:
    return Statement(_named(service, actions), resources)


def _named(service: str, actions: str) -> tuple[str, ...]:
    return tuple(f"{service}:{action}" for action in actions.split())


def main(arguments: Sequence[str]) -> int:
    """Print the policy, indented; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.deployer_policy", description=__doc__)
    parser.add_argument("--account", required=True, help="the number of the AWS account")
    account: str = parser.parse_args(arguments).account
    try:
        config = Source.chosen(ROOT, os.environ).load(ROOT)
    except InvalidConfig as invalid:
        print(invalid, file=sys.stderr)
        return 1
    print(json.dumps(json.loads(policy(config, account)), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
