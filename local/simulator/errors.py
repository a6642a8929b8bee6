"""The errors of SageMaker: codes, HTTP statuses and messages.

They come from public issue threads of SDKs, operators and the Terraform provider, except those
marked "assumed". The messages are part of the interface: only they distinguish "gone" from "busy".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


class ApiError(Exception):
    """An error response. `fields` are further members of its body."""

    def __init__(
        self,
        code: str,
        message: str,
        http_status: int = 400,
        fields: Mapping[str, object] = MappingProxyType({}),
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.http_status = http_status
        self.fields = fields


@dataclass(frozen=True)
class Wording:
    """An error whose message is a template. The names are filled in when it is raised."""

    template: str
    code: str = "ValidationException"
    http_status: int = 400

    def error(self, **values: object) -> ApiError:
        return ApiError(self.code, self.template.format(**values), self.http_status)


EXISTS = Wording('Cannot create already existing {noun} "{arn}".')
MISSING = Wording('Could not find {noun} "{arn}".')
BUSY = Wording('Cannot update in-progress endpoint "{arn}".')
FAILED_ENDPOINT = Wording('Cannot update endpoint "{arn}" with status Failed.')  # assumed
VARIANTS_ABSENT = Wording(
    'The variant name(s) "{names}" is/are not present within endpoint configuration "{config}".'
)
VARIANTS_CHANGED = Wording(  # assumed
    'Variant properties of endpoint "{arn}" cannot be retained: the variant names of endpoint '
    'configuration "{config}" differ.'
)
EULA = Wording(
    "The AcceptEula value must be explicitly defined as True in order to accept the end-user "
    'license agreement (EULA) that this "{uri}" model requires.'
)
SCALING_NEEDS_COMPONENTS = Wording(
    "ManagedInstanceScaling is only supported for inference component endpoints."
)
NO_SCALE_TO_ZERO = Wording(
    "Min instance count needs to be greater than 0 for enabled managed instance scaling"
)
DUPLICATE_VARIANTS = Wording("Duplicate variant names: {names}.")  # assumed
ONE_ASYNCHRONOUS_VARIANT = Wording(  # assumed
    "Only one production variant is supported when specifying an AsyncInferenceConfig, not {count}."
)
NO_ASYNCHRONOUS_SERVERLESS = Wording(  # assumed
    "A ServerlessConfig is not supported when specifying an AsyncInferenceConfig."
)
VARIANT_NEEDS_CAPACITY = Wording(  # assumed
    "Production variant {name} must name either an InstanceType or a ServerlessConfig."
)
ONE_CONTAINER_FIELD = Wording(  # assumed
    "Exactly one of PrimaryContainer, Containers and InferenceExecutionConfig must be specified."
)
CONTAINER_NEEDS_IMAGE = Wording(  # assumed
    "A container definition must name either an Image or a ModelPackageName."
)
TOO_MANY_TAGS = Wording("A resource can have at most 50 tags.", "ResourceLimitExceeded")  # assumed
BAD_TOKEN = Wording("Invalid NextToken.")  # assumed
NO_HUB_CONTENT = Wording("Hub content with name {name} does not exist.", "ResourceNotFound")
NO_HUB = Wording("Hub with name {name} does not exist.", "ResourceNotFound")  # assumed
UNKNOWN_OPERATION = Wording(
    "The requested operation is not supported.", "UnknownOperationException"
)
NOT_SERVING = Wording("Endpoint {name} of account {account} not found.", "ValidationError")
NO_SUCH_VARIANT = Wording(  # assumed
    "Variant {variant} of endpoint {name} of account {account} not found.", "ValidationError"
)
NOT_ASYNCHRONOUS = Wording(  # assumed
    "Endpoint {name} does not have an asynchronous inference configuration.", "ValidationError"
)
ONLY_ASYNCHRONOUS = Wording(  # assumed
    "Endpoint {name} is for asynchronous inference: call InvokeEndpointAsync.", "ValidationError"
)

THROTTLED = Wording("Rate exceeded", "ThrottlingException")
QUOTA = Wording(
    "The account-level service limit '{instance_type} for endpoint usage' is {limit} Instances, "
    "with current utilization of {used} Instances and a request delta of {delta} Instances. "
    "Please use AWS Service Quotas to request an increase for this quota. If AWS Service Quotas "
    "is not available, contact AWS support to request an increase for this quota.",
    "ResourceLimitExceeded",
)
NOT_ALLOWED = Wording(
    "User: {session} is not authorized to perform: {action} on resource: {resource} {because}",
    "AccessDeniedException",
)
NO_IAM = Wording("IAM does not answer.", "ServiceUnavailable", 503)
UNKNOWN_CALLER = Wording(
    "The security token included in the request is invalid.", "UnrecognizedClientException"
)
NO_DEREGISTRATION = Wording(
    "An Application AutoScaling scalable target exists for a variant being deleted, and the IAM "
    "identity used to invoke DeleteEndpoint does not have "
    "application-autoscaling:DeregisterScalableTarget permission to deregister the scalable "
    "target.",
    "AccessDeniedException",
)
MODEL_TIMEOUT = Wording(
    'Received server error (0) from model with message "Your invocation timed out while waiting '
    "for a response from container primary. Review the latency metrics for each container in "
    'Amazon CloudWatch, resolve the issue, and try again.". See '
    "https://{region}.console.aws.amazon.com/cloudwatch/home?region={region}#logEventViewer:"
    "group=/aws/sagemaker/Endpoints/{name} in account {account} for more information.",
    "ModelError",
    424,
)

# Application Auto Scaling
UNSUPPORTED_TARGET = Wording("Unsupported service namespace, resource type or scalable dimension")
NEW_TARGET_NEEDS_CAPACITY = Wording(  # assumed
    "Minimum and maximum capacity must be given to register a new scalable target."
)
MAX_BELOW_MIN = Wording("Maximum capacity cannot be less than minimum capacity")  # assumed
UNSUPPORTED_POLICY = Wording(  # assumed
    "Policy type {kind} is not supported for scalable dimension sagemaker:variant:"
    "DesiredInstanceCount"
)
WRONG_CONFIGURATION = Wording(  # assumed
    "A policy of type {kind} needs exactly one configuration: {field}"
)
NO_STEPS = Wording("A step scaling policy needs AdjustmentType and StepAdjustments")  # assumed
ONE_METRIC = Wording(  # assumed
    "Exactly one of PredefinedMetricSpecification and CustomizedMetricSpecification must be given"
)
WRONG_METRIC = Wording(  # assumed
    "Metric type {metric} is not supported for scalable dimension {dimension}"
)
NOT_A_VARIANT = Wording(
    "No SageMaker endpoint variant found for resource ID: {resource_id}"
)  # assumed
NOT_SCALABLE = Wording('Cannot scale endpoint "{arn}" that is not InService.')  # assumed
SCALED_TYPE = Wording(  # assumed
    "Cannot change the instance type of variant {variant}, which has an Application AutoScaling "
    "scalable target. Deregister the target first."
)
NO_TARGET = Wording(
    "No scalable target found for service namespace: sagemaker, resource ID: {resource_id}, "
    "scalable dimension: {dimension}",
    "ObjectNotFoundException",
)
NO_TARGET_FOR_POLICY = Wording(
    "No scalable target registered for service namespace: sagemaker, resource ID: {resource_id}, "
    "scalable dimension: {dimension}",
    "ObjectNotFoundException",
)

CAPACITY_REASON = (
    "Unable to provision requested ML compute capacity due to InsufficientInstanceCapacity error. "
    "Please retry using a different ML instance type or after some time."
)
PING_REASON = (
    "The primary container for production variant {variant} did not pass the ping health check. "
    "Please check CloudWatch logs for this endpoint."
)
SERVICE_REASON = (
    "Request to service failed. If failure persists after retry, contact customer support."
)

SIGNATURE_CODES = MappingProxyType(
    {
        "IncompleteSignature": "IncompleteSignatureException",
        "MissingAuthenticationToken": "MissingAuthenticationTokenException",
        "RequestExpired": "InvalidSignatureException",
        "SignatureDoesNotMatch": "InvalidSignatureException",
    }
)
"""SageMaker's codes for what is wrong with a signature."""
STATUS_BY_CODE = MappingProxyType(
    {
        "InternalFailure": 500,
        "InternalServerException": 500,
        "InternalServerError": 500,
        "InternalDependencyException": 530,
        "ServiceUnavailable": 503,
        "ServiceUnavailableException": 503,
        "RequestTimeout": 408,
        "ModelError": 424,
        "ModelNotReadyException": 429,
    }
)
"""HTTP statuses of the codes whose status is not 400."""
