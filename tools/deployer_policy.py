"""Print the smallest IAM policy with which `make plan`, `make deploy` and `make destroy` work:
`python -m tools.deployer_policy --account 123456789012`.

It fits the config that CONFIG names. tests/e2e/test_deployer_of_everything.py deploys all examples
under it and compares it with every action that the deploy asked for.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace

from constructs_lib.config.document import DeployConfig, JumpstartModel, S3Backend
from constructs_lib.config.problems import InvalidConfig
from constructs_lib.deployment import Deployment
from constructs_lib.kms import may_use
from constructs_lib.partitions import partition_of
from constructs_lib.policy import Conditions, Statement, policy_document
from tools.bootstrap import ROOT
from tools.deployed_stack import Source

LOGS_POLICY = "service-role/AmazonAPIGatewayPushToCloudWatchLogs"
SERVICES = ("apigateway", "lambda", "sagemaker", "scheduler", "states")
"""Those that get roles of the stack."""
LOGGING = ("apigateway", "lambda")

OF_TABLES = (
    "CreateTable DeleteTable DescribeContinuousBackups DescribeTable DescribeTimeToLive "
    "ListTagsOfResource TagResource UntagResource UpdateContinuousBackups UpdateTable "
    "UpdateTimeToLive"
)
OF_SPECS = "DeleteItem GetItem PutItem UpdateItem"
OF_QUEUES = (
    "CreateQueue DeleteQueue GetQueueAttributes ListQueueTags SetQueueAttributes TagQueue "
    "UntagQueue"
)
OF_TOPICS = (
    "CreateTopic DeleteTopic GetTopicAttributes ListTagsForResource SetTopicAttributes Subscribe "
    "TagResource UntagResource"
)
OF_FUNCTIONS = (
    "AddPermission CreateAlias CreateFunction DeleteAlias DeleteFunction "
    "DeleteFunctionConcurrency DeleteProvisionedConcurrencyConfig GetAlias GetFunction "
    "GetFunctionCodeSigningConfig GetFunctionConcurrency GetFunctionConfiguration "
    "GetFunctionRecursionConfig GetPolicy GetProvisionedConcurrencyConfig "
    "ListVersionsByFunction PublishVersion PutFunctionConcurrency PutFunctionRecursionConfig "
    "PutProvisionedConcurrencyConfig RemovePermission TagResource UntagResource UpdateAlias "
    "UpdateFunctionCode UpdateFunctionConfiguration"
)
OF_MAPPINGS = "DeleteEventSourceMapping UpdateEventSourceMapping"
OF_LAYERS = "DeleteLayerVersion GetLayerVersion PublishLayerVersion"
OF_RULES = (
    "DeleteRule DescribeRule ListTagsForResource ListTargetsByRule PutRule PutTargets "
    "RemoveTargets TagResource UntagResource"
)
OF_SCHEDULES = "CreateSchedule DeleteSchedule GetSchedule UpdateSchedule"
OF_MACHINES = (
    "CreateStateMachine DeleteStateMachine DescribeStateMachine ListStateMachineVersions "
    "ListTagsForResource TagResource UntagResource UpdateStateMachine"
)
OF_LOGS = (
    "CreateLogGroup DeleteLogGroup DeleteMetricFilter DescribeMetricFilters ListTagsForResource "
    "PutMetricFilter PutRetentionPolicy TagResource UntagResource"
)
OF_ALARMS = (
    "DeleteAlarms DescribeAlarms ListTagsForResource PutMetricAlarm TagResource UntagResource"
)
OF_DASHBOARDS = "DeleteDashboards GetDashboard PutDashboard"
OF_ROLES = (
    "DeleteRole DeleteRolePolicy GetRole GetRolePolicy ListAttachedRolePolicies "
    "ListInstanceProfilesForRole ListRolePolicies TagRole UntagRole UpdateAssumeRolePolicy"
)
GIVING_RIGHTS = "CreateRole PutRolePolicy"
"""Where the config has a boundary, only to roles within it."""
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
    "AddTags CreateEndpointConfig CreateModel DeleteEndpointConfig DeleteModel DeleteTags "
    "DescribeEndpointConfig DescribeModel ListTags"
)
OF_CLIENTS = "CreateUserPoolClient DeleteUserPoolClient DescribeUserPoolClient UpdateUserPoolClient"
OF_POOLS = (
    "CreateGroup DeleteGroup DeleteUserPool DescribeUserPool GetGroup GetUserPoolMfaConfig "
    "TagResource UntagResource UpdateUserPool"
)
OF_KEYS = "CreateGrant Decrypt DescribeKey Encrypt GenerateDataKey ReEncryptFrom ReEncryptTo"
OF_FORMER_KEYS = "Decrypt DescribeKey"
OF_IMAGES = "BatchGetImage GetDownloadUrlForLayer"
OF_REPOSITORIES = "GetRepositoryPolicy SetRepositoryPolicy"
ACCOUNT = re.compile("[0-9]{12}")
MOST_INLINE, MOST_MANAGED = 10_240, 6_144
"""https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html"""


def statements(config: DeployConfig, at: Deployment) -> Iterator[Statement]:
    """What the deployer of this config is allowed, by service. Tags are taken off only where the
    config has some: ours stays as it is."""
    for statement in _of_every_service(config, at):
        left = tuple(name for name in statement.actions if config.tags or not _untags(name))
        if left:
            yield replace(statement, actions=left)


def _of_every_service(config: DeployConfig, at: Deployment) -> Iterator[Statement]:
    yield from _storage(config, at)
    yield from _functions(at)
    yield from _code_of_others(config, at)
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
        role_boundary=config.roles.permissions_boundary,
        role_path=config.roles.path,
        role_prefix=config.roles.name_prefix or "",
    )
    return policy_document(statements(config, at))


def note_on_size(printed: str) -> str | None:
    """What to do if it does not fit into the inline policies of a role. Blanks are not counted."""
    if len(printed) <= MOST_INLINE:
        return None
    return (
        f"it has {len(printed):,} characters, and the inline policies of a role take "
        f"{MOST_INLINE:,}: divide its statements among managed policies of at most {MOST_MANAGED:,}"
    )


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
    yield _allowed("lambda", "GetEventSourceMapping ListTags TagResource UntagResource", mappings)
    yield _allowed("lambda", OF_LAYERS, at.arn("lambda", f"layer:{at.name('*')}"))
    yield Statement(("lambda:GetAccountSettings",), ("*",), reason="it belongs to the account")


def _code_of_others(config: DeployConfig, at: Deployment) -> Iterator[Statement]:
    """What functions of models run, where others made it: Lambda looks with the deployer's rights.

    https://docs.aws.amazon.com/lambda/latest/dg/images-create.html
    """
    given = [entry.integration.properties for entry in config.jumpstart_models if entry.integration]
    images = sorted({at.repository_arn(one.image_uri) for one in given if one.image_uri})
    if images:
        yield _allowed("ecr", OF_IMAGES, *images)
    # In the same account, Lambda lets itself pull from a repository whose policy does not yet.
    own = [arn for arn in images if f":{at.account_id}:" in arn]
    if own:
        yield _allowed("ecr", OF_REPOSITORIES, *own)
    layers = sorted({layer for one in given for layer in one.layers})
    if layers:
        yield _allowed("lambda", "GetLayerVersion", *layers)


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
    yield _allowed("logs", OF_LOGS, *_log_groups(at))
    yield Statement(("logs:DescribeLogGroups",), ("*",), reason="it is a search")
    yield _allowed("cloudwatch", OF_ALARMS, at.arn("cloudwatch", f"alarm:{at.name('*')}"))
    dashboard = f"arn:{at.partition}:cloudwatch::{at.account_id}:dashboard/{at.name('endpoints')}"
    yield _allowed("cloudwatch", OF_DASHBOARDS, dashboard)


def _log_groups(at: Deployment) -> list[str]:
    return [at.arn("logs", f"log-group:/aws/{of}/{at.name('*')}") for of in LOGGING]


def _roles(config: DeployConfig, at: Deployment) -> Iterator[Statement]:
    roles, boundary = at.roles_arn, at.role_boundary
    limit: Conditions = {"StringEquals": {"iam:PermissionsBoundary": boundary}} if boundary else {}
    yield _allowed("iam", OF_ROLES, roles)
    limiting = " PutRolePermissionsBoundary" if boundary else ""
    yield Statement(_named("iam", GIVING_RIGHTS + limiting), (roles,), limit)
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
        this_one: Conditions = {"ArnEquals": {"iam:PolicyARN": logs}}
        yield Statement(("iam:AttachRolePolicy",), (roles,), {**this_one, **limit})
        yield Statement(("iam:DetachRolePolicy",), (roles,), this_one)


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
    if config.tags:
        yield _allowed("apigateway", "DELETE", f"{base}/tags/*")
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
            yield may_use(at, backend.kms_key_id, _named("kms", "Decrypt GenerateDataKey"))


def _keys(config: DeployConfig, at: Deployment) -> Iterator[Statement]:
    if config.kms_key_arn:
        yield _allowed("kms", OF_KEYS, config.kms_key_arn)
    # What lies under a former key is read, and encrypted anew, by those who change it.
    if config.former_kms_key_arns:
        yield _allowed("kms", OF_FORMER_KEYS, *config.former_kms_key_arns)
    if config.kms_key_arn or config.former_kms_key_arns:
        yield _allowed("logs", "AssociateKmsKey DisassociateKmsKey", *_log_groups(at))


def _allowed(service: str, actions: str, *resources: str) -> Statement:
    return Statement(_named(service, actions), resources)


def _untags(action: str) -> bool:
    return action.partition(":")[2].startswith(("Untag", "DeleteTags"))


def _named(service: str, actions: str) -> tuple[str, ...]:
    return tuple(f"{service}:{action}" for action in actions.split())


def _account(text: str) -> str:
    if not ACCOUNT.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no AWS account: give its 12 digits, such as 123456789012 "
            "(`aws sts get-caller-identity`)"
        )
    return text


def main(arguments: Sequence[str]) -> int:
    """Print the policy, indented; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.deployer_policy", description=__doc__)
    parser.add_argument(
        "--account", required=True, type=_account, help="the 12 digits of the AWS account"
    )
    account: str = parser.parse_args(arguments).account
    try:
        config = Source.chosen(ROOT, os.environ).load(ROOT)
    except InvalidConfig as invalid:
        print(invalid, file=sys.stderr)
        return 1
    printed = policy(config, account)
    print(json.dumps(json.loads(printed), indent=2))
    note = note_on_size(printed)
    if note:
        print(f"Note: {note}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
