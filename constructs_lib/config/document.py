"""The fields of the config.

The core has the rules for schedules and names. These classes only pass values to the core and
collect its errors. Start at `file.load`, which also runs the checks across fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    WithJsonSchema,
    model_validator,
)

from constructs_lib.config.async_inference import AsyncInference
from constructs_lib.config.auth import CognitoAuth
from constructs_lib.config.base import Model, as_pydantic_error, by_core
from constructs_lib.config.integration import Integration, WakeOnRequest
from constructs_lib.config.provider import ProviderSettings
from constructs_lib.config.roles import RoleSettings
from constructs_lib.config.source import ModelSource, Surroundings
from constructs_lib.config.tags import MAX_TAGS
from constructs_lib.config.text import (
    Bucket,
    CorsOrigin,
    InstanceType,
    KmsKey,
    KmsKeyArn,
    Region,
    StateKey,
)
from constructs_lib.config.update import Update
from constructs_lib.config.variants import (
    MAX_VARIANTS,
    Autoscaling,
    DataCapture,
    ShadowVariant,
    Tuning,
    Variant,
    only_variant,
)
from lambdas.core.days import DAYS, parse_day, parse_days
from lambdas.core.errors import InvalidField
from lambdas.core.json_form import MAX_INTEGER
from lambdas.core.name_patterns import MAX_PATTERNS, PATTERN, NamePatterns
from lambdas.core.schedule import (
    MAX_WINDOW_MINUTES,
    Schedule,
    parse_date,
    parse_minutes,
    parse_time,
    parse_timezone,
)
from lambdas.core.spec import DEFAULT_MAX_LEASE_MINUTES, MAX_MINUTES, AsyncMode, Scaling
from lambdas.core.takeover import DEFAULT_MAX_ADDED, DEFAULT_MAX_ADDED_A_DAY

# CloudWatch Logs allows these: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
RetentionDays = Literal[
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922,
    3288, 3653,
]  # fmt: skip
MAX_DRAIN_SECONDS = 840  # the sweep has 900 s in total
STATES = ".terraform-state"
TO_THE_PROJECT = "../../../"
"""From the folder in `cdktf.out` where Terraform runs, so that the JSON contains no local path."""
_LEASE, _WINDOWS = "<lease>", "<windows>"


Time = Annotated[
    str,
    by_core(parse_time),
    WithJsonSchema({"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$"}),
]
Date = Annotated[
    str,
    by_core(parse_date),
    WithJsonSchema({"type": "string", "pattern": "^[0-3][0-9]/[01][0-9]/[0-9]{4}$"}),
]
Minutes = Annotated[
    int,
    by_core(parse_minutes),
    WithJsonSchema({"type": "integer", "minimum": 1, "maximum": MAX_WINDOW_MINUTES}),
]
Timezone = Annotated[str, by_core(parse_timezone)]
Days = Annotated[
    list[Annotated[Any, by_core(parse_day)]],
    by_core(parse_days),
    WithJsonSchema(
        {"type": "array", "minItems": 1, "uniqueItems": True, "items": {"enum": list(DAYS)}}
    ),
]


Names = Annotated[
    list[str],
    by_core(NamePatterns.parse),
    WithJsonSchema(
        {
            "type": "array",
            "maxItems": MAX_PATTERNS,
            "items": {"type": "string", "pattern": f"^({PATTERN})$"},
        }
    ),
]
"""Names of endpoints or endpoint configs. `*` stands for any characters."""


class ScheduleEntry(Model):
    """Windows in which an endpoint runs: on `days`, or on one `date`. With `minutes`, a window is
    that long. With a `stop_time` alone, whatever runs then is stopped."""

    name: str
    start_time: Time | None = None
    stop_time: Time | None = None
    minutes: Minutes | None = None
    days: Days | None = None
    date: Date | None = None
    timezone: Timezone = "UTC"
    except_dates: list[Date] = []

    @model_validator(mode="after")
    def _check_as_a_whole(self) -> ScheduleEntry:
        try:
            self.schedule()
        except InvalidField as error:
            raise as_pydantic_error(error) from error
        return self

    def schedule(self) -> Schedule:
        return Schedule.parse(self.model_dump(exclude_none=True))


class LeaseEntry(Model):
    """A lease granted once, when the endpoint is new."""

    initial_provision_minutes: Annotated[int, Field(ge=0, le=MAX_MINUTES)] = 0


def _kind_of_schedule(value: object) -> str:
    return _WINDOWS if isinstance(value, list) else _LEASE


ScheduleField = Annotated[
    Annotated[LeaseEntry, Tag(_LEASE)] | Annotated[list[ScheduleEntry], Tag(_WINDOWS)],
    Discriminator(_kind_of_schedule),
]
UNION_TAGS = frozenset({_LEASE, _WINDOWS})


Tags = Annotated[
    dict[
        str,
        Annotated[str, StringConstraints(max_length=256)],
    ],
    Field(max_length=MAX_TAGS),
]


class JumpstartModel(ModelSource, Tuning):
    """An endpoint: what it runs, on what, and when.

    Either the entry names a model and an instance type itself, or its `variants` do.
    """

    name: Annotated[str, StringConstraints(min_length=1)]
    inference_type: Literal["realtime", "async"]
    inference_instance_type: InstanceType | None = None
    inference_instance_count: Annotated[int, Field(ge=1, le=MAX_INTEGER)] | None = None
    instance_type_fallbacks: Annotated[list[InstanceType], Field(max_length=5)] = []
    autoscaling: Autoscaling | None = None
    variants: Annotated[list[Variant], Field(min_length=1, max_length=MAX_VARIANTS)] | None = None
    shadow_variants: Annotated[list[ShadowVariant], Field(max_length=MAX_VARIANTS)] = []
    data_capture: DataCapture | None = None
    kms_key_id: KmsKey | None = None
    async_inference: Annotated[AsyncInference | None, Field(alias="async")] = None
    schedule: ScheduleField | None = None
    integration: Integration | None = None
    async_api_enabled: bool = False
    async_api_results: Literal["inline", "s3"] = "inline"
    wake_on_request: WakeOnRequest | None = None
    tags: Tags = {}
    update: Update = {}
    outside_updates: Literal["revert", "keep"] = "revert"

    def production_variants(self) -> Mapping[str, Variant]:
        """The variants that answer requests, by their paths below the entry. Without `variants`
        this is only the entry's own model, at the path ''."""
        if self.variants:
            return {
                f".variants[{index}]": variant.model_copy(update=self._inherited(variant))
                for index, variant in enumerate(self.variants)
            }
        only = only_variant(
            self,
            self,
            instance_type=self.inference_instance_type,
            instance_count=self.inference_instance_count,
            autoscaling=self.autoscaling,
        )
        return {"": only}

    def shadows(self) -> Mapping[str, ShadowVariant]:
        """The variants that get copies of requests, by their paths below the entry."""
        return {
            f".shadow_variants[{index}]": variant.model_copy(update=self._inherited(variant))
            for index, variant in enumerate(self.shadow_variants)
        }

    def instance_types(self) -> Mapping[str, str]:
        """The types that the entry's own model may run on, by field, the first choice first."""
        if self.inference_instance_type is None:
            return {}
        fallbacks = {
            f"instance_type_fallbacks[{index}]": kind
            for index, kind in enumerate(self.instance_type_fallbacks)
        }
        return {"inference_instance_type": self.inference_instance_type, **fallbacks}

    def scaling(self, endpoint: str) -> tuple[Scaling, ...]:
        return tuple(
            variant.autoscaling.scaling(endpoint, variant.name)
            for variant in self.production_variants().values()
            if variant.autoscaling
        )

    def async_settings(self) -> AsyncInference | None:
        """The settings of an asynchronous endpoint; None if the endpoint is not asynchronous."""
        if self.inference_type != "async":
            return None
        return self.async_inference or AsyncInference()

    def _inherited(self, variant: Surroundings) -> dict[str, object]:
        """The entry's values for the fields that a variant does not set itself."""
        names = Surroundings.model_fields
        return {n: getattr(self, n) for n in names if getattr(variant, n) is None}

    @property
    def async_mode(self) -> AsyncMode:
        """How the model may be called asynchronously. Answers that are too large for Step
        Functions need a function that stores them in S3."""
        if not self.async_api_enabled:
            return AsyncMode.OFF
        return AsyncMode.DIRECT if self.async_api_results == "inline" else AsyncMode.THROUGH_LAMBDA

    @property
    def initial_provision_minutes(self) -> int:
        lease = self.schedule
        return lease.initial_provision_minutes if isinstance(lease, LeaseEntry) else 0

    def schedules(self) -> tuple[Schedule, ...]:
        windows = self.schedule
        return tuple(w.schedule() for w in windows) if isinstance(windows, list) else ()


class LocalBackend(Model):
    """Terraform's state in a file beside the project."""

    type: Literal["local"] = "local"


class S3Backend(Model):
    """Terraform's state in a bucket, with a lock file beside it."""

    type: Literal["s3"]
    bucket: Bucket
    key: StateKey
    region: Region | None = None
    kms_key_id: KmsKey | None = None

    @property
    def place(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


Architecture = Literal["arm64", "x86_64"]


class LambdaPlatform(Model):
    """What functions run on. `layer_platform` `host` builds the layer for the machine that runs
    synth, for an emulator that runs functions on it. `snap_start` is for the functions that
    requests wait for."""

    architecture: Architecture = "arm64"
    layer_platform: Literal["lambda", "host"] = "lambda"
    snap_start: bool = False


class Throttle(Model):
    """Requests that the whole API takes, of all callers together."""

    rate_per_second: Annotated[int, Field(ge=1, le=10_000)] = 500
    burst: Annotated[int, Field(ge=1, le=5_000)] = 1_000


class DeployConfig(Model):
    """A whole config file."""

    schema_: Annotated[str | None, Field(alias="$schema")] = None  # for editors
    project_prefix: Annotated[
        str, StringConstraints(pattern=r"^[a-zA-Z](-?[a-zA-Z0-9])*$", max_length=30)
    ]
    region_name: Region
    ddb_auth_table_name: Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9_.-]{3,255}$")]
    jumpstart_models: list[JumpstartModel]
    create_auth_table: bool = True
    auth: CognitoAuth | None = None
    deletion_protection: bool = True
    max_lease_minutes: Annotated[int, Field(ge=1, le=MAX_MINUTES)] = DEFAULT_MAX_LEASE_MINUTES
    destroy_wait_seconds: Annotated[int, Field(ge=0, le=MAX_DRAIN_SECONDS)] = 600
    unmanaged_endpoints: Literal["ignore", "report", "meter"] = "ignore"
    unmanaged_lease_minutes: Annotated[int, Field(ge=1, le=MAX_MINUTES)] = 1_440
    adoptable: Names | None = None
    addable_configs: Names | None = None
    max_added_endpoints: Annotated[int, Field(ge=0, le=1_000)] = DEFAULT_MAX_ADDED
    max_added_per_token_per_day: Annotated[int, Field(ge=0, le=10_000)] = DEFAULT_MAX_ADDED_A_DAY
    late_minutes: Annotated[int, Field(ge=5, le=1_440)] = 30
    tags: Tags = {}
    roles: RoleSettings = RoleSettings()
    provider: ProviderSettings | None = None
    backend: Annotated[LocalBackend | S3Backend, Discriminator("type")] = LocalBackend()
    lambda_: Annotated[LambdaPlatform, Field(alias="lambda")] = LambdaPlatform()
    reconciler_concurrency: Annotated[int, Field(ge=2, le=1_000)] = 4
    reserved_concurrency: bool = False
    history_days: Annotated[int, Field(ge=1, le=3_650)] = 90
    log_retention_days: RetentionDays = 30
    alarm_emails: list[Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+$")]] = []
    throttle: Throttle = Throttle()
    cors_origin: CorsOrigin | None = None
    token_requests_per_minute: Annotated[int, Field(ge=1, le=1_000_000)] = 1_200
    api_gateway_account_role: bool = False
    kms_key_arn: KmsKeyArn | None = None
    former_kms_key_arns: Annotated[list[KmsKeyArn], Field(max_length=5)] = []

    @property
    def stack_tag(self) -> str:
        """The value of the tag that every resource of the stack carries."""
        return f"{self.project_prefix}-{self.region_name}"

    @property
    def state_file(self) -> str:
        """Terraform's local state, relative to the project: one for each prefix and region."""
        return f"{STATES}/{self.project_prefix}/{self.region_name}/endpoint-manager.tfstate"

    def account_settings(self) -> dict[str, Any]:
        """The field `provider`, for those who reach the account by it."""
        return self.provider.model_dump() if self.provider else {}

    def tags_of(self, entry: JumpstartModel) -> dict[str, str]:
        """Those of the stack, and over them those of the entry."""
        return {**self.tags, **entry.tags}

    def volume_keys(self) -> set[str]:
        return {entry.kms_key_id for entry in self.jumpstart_models if entry.kms_key_id}

    @property
    def meters_any_name(self) -> bool:
        """Whether endpoints may be on the meter whose names do not begin with the prefix: added or
        adopted ones. Those may be moved to any endpoint config."""
        may_add = self.max_added_endpoints > 0 and self.addable_configs != []
        return may_add or self.adoptable != []

    def endpoint_name(self, model: JumpstartModel) -> str:
        return endpoint_name(self.project_prefix, model.name)


def endpoint_name(prefix: str, name: str) -> str:
    return f"{prefix}-{name}-Endpoint"
