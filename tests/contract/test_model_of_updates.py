"""Our checks of updates against SageMaker's own model, as botocore has it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import botocore.session
import pytest
from botocore.model import ListShape, Shape, StringShape, StructureShape

from lambdas.core.json_form import MAX_FLOAT, MAX_INTEGER
from lambdas.core.rollout import OPTIONS
from lambdas.core.updates import DESIRED

MODEL = botocore.session.get_session().get_service_model("sagemaker")


def members(operation: str) -> dict[str, Shape]:
    shape = MODEL.operation_model(operation).input_shape
    assert shape is not None
    return dict(shape.members)


def differences(ours: dict[str, Any], theirs: Shape, path: str) -> Iterator[str]:
    if isinstance(theirs, StructureShape):
        required = set(ours.get("required", ()))
        if required != set(theirs.required_members):
            yield f"{path}: we require {required}, SageMaker {theirs.required_members}"
        if set(ours["properties"]) != set(theirs.members):
            yield f"{path}: we know {set(ours['properties'])}, SageMaker {set(theirs.members)}"
        for name, member in theirs.members.items():
            yield from differences(ours["properties"][name], member, f"{path}.{name}")
    elif isinstance(theirs, ListShape):
        yield from _bounds(ours, theirs, path, "minItems", "maxItems")
        yield from differences(ours["items"], theirs.member, f"{path}[]")
    elif theirs.type_name in ("integer", "float"):
        most = MAX_INTEGER if theirs.type_name == "integer" else MAX_FLOAT
        yield from _bounds(ours, theirs, path, "minimum", "maximum", most)
    elif isinstance(theirs, StringShape) and theirs.enum and ours.get("enum") != theirs.enum:
        yield f"{path}: we allow {ours.get('enum')}, SageMaker {theirs.enum}"


def _bounds(
    ours: dict[str, Any], theirs: Shape, path: str, least: str, most: str, default: Any = None
) -> Iterator[str]:
    wanted = theirs.metadata.get("min", 0), theirs.metadata.get("max", default)
    found = ours.get(least, 0), ours.get(most)
    if wanted != found:
        yield f"{path}: ours {found}, SageMaker's {wanted}"


@pytest.mark.parametrize("name", list(OPTIONS.fields))
def test_options_of_an_update_are_those_of_sagemaker(name: str) -> None:
    theirs = members("UpdateEndpoint")[name]
    assert list(differences(OPTIONS.schema()["properties"][name], theirs, name)) == []


def test_no_option_of_an_update_is_missing() -> None:
    assert set(OPTIONS.fields) | {"EndpointName", "EndpointConfigName"} == set(
        members("UpdateEndpoint")
    )


def test_weights_and_capacities_are_those_of_sagemaker() -> None:
    name = "DesiredWeightsAndCapacities"
    theirs = members("UpdateEndpointWeightsAndCapacities")[name]
    assert list(differences(dict(DESIRED.schema()), theirs, name)) == []
