"""What all classes of the config share."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict
from pydantic_core import PydanticCustomError

from lambdas.core.errors import InvalidField

CORE_RULE = "core_rule"


class Model(BaseModel):
    """Base: unknown keys are errors, and nothing is converted from one type to another."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def as_pydantic_error(error: InvalidField) -> PydanticCustomError:
    """Carry the core's sentence and the path below this field through pydantic."""
    context = {"sentence": error.sentence, "below": error.field}
    return PydanticCustomError(CORE_RULE, "{sentence}", context)
