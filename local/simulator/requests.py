"""Validates requests with botocore's service models: required, type, range, pattern, enum."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import cast

import botocore.session
from botocore.model import ListShape, MapShape, OperationModel, ServiceModel, Shape, StructureShape

from local.simulator import autoscaling
from local.simulator.errors import ApiError
from local.simulator.lifecycle import Json

JSON_TOKENS: dict[type, str] = {
    str: "STRING_VALUE",
    bool: "BOOLEAN_VALUE",
    int: "NUMBER_VALUE",
    float: "DECIMAL_VALUE",
    type(None): "NULL_VALUE",
}
"""The names that SageMaker's parser gives to unexpected values."""

SCALARS = {
    "string": "String",
    "boolean": "Boolean",
    "integer": "Integer",
    "long": "Integer",
    "float": "Float",
    "double": "Float",
    "timestamp": "Timestamp",
}
PYTHON: dict[str, type | tuple[type, ...]] = {
    "String": str,
    "Boolean": bool,
    "Integer": int,
    "Float": (int, float),
    "Timestamp": (int, float),
}

_JAVA = {
    r"[\p{Print}]": r"[\x20-\x7e]",
    r"\p{ASCII}": r"[\x00-\x7f]",
    r"\z": r"\Z",
    r"\p{L}": r"\w",
    r"\p{N}": r"\w",
    r"\p{Z}": r"\s",
    r"\p{Print}": r"[\x20-\x7e]",
    r"\uD800\uDC00-\uDBFF\uDFFF": r"\U00010000-\U0010FFFF",
}


@cache
def _service_model(service: str) -> ServiceModel:
    return botocore.session.get_session().get_service_model(service)


def operation_model(operation: str) -> OperationModel:
    """Botocore's model of an operation: every shape with its ranges, patterns and choices."""
    service = "application-autoscaling" if operation in autoscaling.OPERATIONS else "sagemaker"
    return _service_model(service).operation_model(operation)


def check_headers_of_invocation(headers: Mapping[str, str]) -> None:
    """Raises the runtime's ValidationError for headers of InvokeEndpoint with wrong values."""
    shape = _service_model("sagemaker-runtime").operation_model("InvokeEndpoint").input_shape
    assert isinstance(shape, StructureShape)
    violations = [
        violation
        for name, member in shape.members.items()
        if member.serialization.get("location") == "header"
        and (value := headers.get(member.serialization["name"])) is not None
        for violation in _violations(member, value, name[0].lower() + name[1:])
    ]
    if violations:
        raise ApiError("ValidationError", _detected(violations))


class RequestRules:
    """The validation that SageMaker and Application Auto Scaling do before they use resources."""

    def parse(self, operation: str, request: object) -> Json:
        """The request with times as epoch seconds, without unknown members.

        Raises SerializationException for a wrong type, ValidationException with all violations.
        """
        shape = operation_model(operation).input_shape
        if shape is None:
            return {}
        parsed = _parsed(shape, request)
        violations = list(_violations(shape, parsed, ""))
        if violations:
            raise ApiError("ValidationException", _detected(violations))
        return cast("Json", parsed)


def _detected(violations: Sequence[str]) -> str:
    count = f"{len(violations)} validation error{'s' * (len(violations) > 1)} detected: "
    return count + "; ".join(violations)


def _parsed(shape: Shape, value: object) -> object:
    """The value without unknown and null members, with timestamps as epoch seconds."""
    if isinstance(shape, StructureShape):
        if not isinstance(value, dict):
            raise _mismatch(value, "Structure")
        return {
            key: _parsed(member, value[key])
            for key, member in shape.members.items()
            if value.get(key) is not None
        }
    if isinstance(shape, ListShape):
        if not isinstance(value, list):
            raise _mismatch(value, "List")
        return [_parsed(shape.member, item) for item in value]
    if isinstance(shape, MapShape):
        if not isinstance(value, dict):
            raise _mismatch(value, "Map")
        return {key: _parsed(shape.value, item) for key, item in value.items()}
    return _scalar(shape.type_name, value)


def _scalar(type_name: str, value: object) -> object:
    wanted = SCALARS[type_name]
    if wanted == "Timestamp" and isinstance(value, str):
        return _epoch_of(value)
    if wanted == "Integer" and isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool) != (wanted == "Boolean") or not isinstance(value, PYTHON[wanted]):
        raise _mismatch(value, wanted)
    return value


def _epoch_of(text: str) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        raise _mismatch(text, "Timestamp") from None


def _mismatch(value: object, wanted: str) -> ApiError:
    found = JSON_TOKENS.get(type(value), "Start of structure or map")
    return ApiError("SerializationException", f"{found} can not be converted to a {wanted}")


def _violations(shape: Shape, value: object, path: str) -> Iterator[str]:
    """Messages in SageMaker's format. Paths are lower camel case; list members are `x.1.member`."""
    yield from _own_violations(shape, value, path)
    if isinstance(shape, StructureShape) and isinstance(value, dict):
        for key, member in shape.members.items():
            inner = _join(path, key[0].lower() + key[1:])
            if key in value:
                yield from _violations(member, value[key], inner)
            elif key in shape.required_members:
                yield _failed("null", inner, "Member must not be null")
    elif isinstance(shape, ListShape) and isinstance(value, list):
        for index, item in enumerate(value, start=1):
            yield from _violations(shape.member, item, f"{path}.{index}.member")
    elif isinstance(shape, MapShape) and isinstance(value, dict):
        for key, item in value.items():
            yield from _violations(shape.key, key, path)
            yield from _violations(shape.value, item, f"{path}.{key}.member")


def _own_violations(shape: Shape, value: object, path: str) -> Iterator[str]:
    shown = f"'{value}'"
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    measure: float | None = None
    what = "have length"
    if isinstance(value, str | list | dict):
        measure = len(value)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        measure, what = value, "have value"
    if measure is not None and least is not None and measure < least:
        yield _failed(shown, path, f"Member must {what} greater than or equal to {least}")
    if measure is not None and most is not None and measure > most:
        yield _failed(shown, path, f"Member must {what} less than or equal to {most}")
    pattern = shape.metadata.get("pattern")
    if pattern and isinstance(value, str) and not _matches(pattern, value):
        yield _failed(shown, path, f"Member must satisfy regular expression pattern: {pattern}")
    choices = getattr(shape, "enum", None)
    if choices and value not in choices:
        options = ", ".join(choices)
        yield _failed(shown, path, f"Member must satisfy enum value set: [{options}]")


def _failed(value: str, path: str, rule: str) -> str:
    return f"Value {value} at '{path}' failed to satisfy constraint: {rule}"


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """Compile a pattern of the service models. They are Java patterns, with its Unicode classes and
    surrogate pairs."""
    for java, python in _JAVA.items():
        pattern = pattern.replace(java, python)
    return re.compile(pattern, re.DOTALL)


def _matches(pattern: str, value: str) -> bool:
    return _compiled(pattern).fullmatch(value) is not None
