"""All questions, in the order in which they are asked: what is created meanwhile needs minutes."""

from __future__ import annotations

from tools.verify_aws import functions, gateway, limits, refusals, serving
from tools.verify_aws.answers import Question

TEN_MINUTES = 600
QUESTIONS = (
    Question(
        "absent-endpoint",
        "How does SageMaker refuse what is asked of an endpoint that does not exist?",
        "the adapter reads it as Gone, by its words",
        "lambdas/aws/errors.py",
        refusals.of_absent_endpoints,
    ),
    Question(
        "absent-config",
        "How does SageMaker refuse an endpoint config that does not exist?",
        "by the words of `NO_CONFIG`, which do not read as an endpoint that is gone",
        "lambdas/core/ports.py",
        refusals.of_absent_configs,
    ),
    Question(
        "busy-endpoint",
        "How does SageMaker refuse a name that exists, and changes while an endpoint is created?",
        "the adapter reads AlreadyExists and InProgress",
        "lambdas/aws/errors.py",
        refusals.of_busy_endpoints,
    ),
    Question(
        "call-of-absent",
        "Is a call of an absent endpoint a 400, and a 403 for a role that needs a tag?",
        "400 ValidationError with the right by name, 403 AccessDeniedException by the tag",
        "lambdas/aws/runtime.py",
        refusals.of_calls_of_absent_endpoints,
    ),
    Question(
        "api-refusals",
        "Do the templates of direct routes turn both into the API's own answers?",
        "status, Retry-After and body are overridden as declared",
        "constructs_lib/api/direct_refusals.py",
        gateway.refusals,
    ),
    Question(
        "page-size",
        "How many endpoints does ListEndpoints give at once?",
        "100 are taken as MaxResults, 101 are not",
        "lambdas/aws/sagemaker.py",
        limits.page_of_endpoints,
    ),
    Question(
        "tag-values",
        "Which characters may the keys and values of tags have?",
        "letters, digits, spaces and _.:/=+-@ of any script; no others",
        "constructs_lib/config/checks.py",
        limits.characters_of_tags,
    ),
    Question(
        "role-policies",
        "How long may the inline policies of a role be?",
        "as long as the quota, all together and without white space",
        "constructs_lib/quotas.py",
        limits.policies_of_a_role,
        embedded=False,
    ),
    Question(
        "widget-alarms",
        "How many alarms may a widget of a dashboard show?",
        "as many as the quota",
        "constructs_lib/quotas.py",
        limits.alarms_of_a_widget,
        embedded=False,
    ),
    Question(
        "recursion-setting",
        "Can a function be allowed to feed itself?",
        "it is not at first, and is after PutFunctionRecursionConfig",
        "constructs_lib/triggers.py",
        functions.recursion_setting,
    ),
    Question(
        "recursion-chain",
        "Does a chain of messages that is allowed get beyond Lambda's limit?",
        f"a chain of {functions.HOPS} hops is not ended",
        "constructs_lib/triggers.py",
        functions.chain_that_is_allowed,
        embedded=False,
    ),
    Question(
        "event-shape",
        "Which event does SageMaker send when an endpoint changes?",
        "the detail has all documented fields, and the name as it was given",
        "constructs_lib/triggers.py",
        serving.event_of_a_creation,
    ),
    Question(
        "step-functions-body",
        "What does Step Functions send to a model for `Body.$`, and what does it keep?",
        "the JSON text of the value; the model's answer as text, with its type and its variant",
        "constructs_lib/model_call.py",
        serving.body_through_step_functions,
    ),
    Question(
        "api-bytes",
        "Do bytes pass a direct route unchanged, in both directions?",
        "they do, with their type",
        "constructs_lib/api/direct_integration.py",
        gateway.bytes_unchanged,
    ),
    Question(
        "long-invocation",
        "Is a synchronous invocation of ten minutes answered?",
        "it is, once",
        "constructs_lib/specs.py",
        functions.invocation_of(TEN_MINUTES),
        embedded=False,
        quick=False,
    ),
)
