"""The base class and the helpers of all config classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import AfterValidator, BaseModel, ConfigDict
from pydantic_core import PydanticCustomError

from lambdas.core.errors import InvalidField

CORE_RULE = "core_rule"


class Model(BaseModel):
    """Unknown keys are errors, and no value is converted to another type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


def by_core(rule: Callable[[Any, str], object]) -> AfterValidator:
    """Check a value with a parser of the core, but keep the value as it was written."""

    def check(value: Any) -> Any:
        try:
            rule(value, "")
        except InvalidField as error:
            raise as_pydantic_error(error) from error
        return value

    return AfterValidator(check)


def as_pydantic_error(error: InvalidField) -> PydanticCustomError:
    """Pass the core's sentence, and the path below this field, through pydantic."""
    context = {"sentence": error.sentence, "below": error.field}
    return PydanticCustomError(CORE_RULE, "{sentence}", context)
