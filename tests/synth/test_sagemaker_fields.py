"""The table of SageMaker's fields: it has each that botocore knows, and says what is true."""

from __future__ import annotations

import re
import typing
from collections.abc import Iterator, Mapping
from typing import Any

import botocore.session
import pytest
from botocore import xform_name
from botocore.model import ListShape, ServiceModel, Shape, StructureShape

from constructs_lib.config.document import JumpstartModel
from constructs_lib.config.sagemaker_fields import NOT_IN_PROVIDER, PAGE, TABLES, page
from constructs_lib.config.sentences import models_in
from tests.synth.provider_schemas import of_terraform
from tests.synth.terraform import Terraform

RESOURCES = {
    "CreateModel": ("aws_sagemaker_model", ()),
    "ContainerDefinition": ("aws_sagemaker_model", ("primary_container",)),
    "CreateEndpointConfig": ("aws_sagemaker_endpoint_configuration", ()),
    "ProductionVariant": ("aws_sagemaker_endpoint_configuration", ("production_variants",)),
}
"""The resource of the provider, and the block in it, by the name of the table."""
OTHER_NAMES = {
    "containers": "container",
    "kms_key_id": "kms_key_arn",
    "model_name": "name",
    "endpoint_config_name": "name",
}
"""Where the provider has another name at the top of a resource."""


@pytest.fixture(scope="module")
def sagemaker() -> ServiceModel:
    return botocore.session.get_session().get_service_model("sagemaker")


def shape_of(model: ServiceModel, table: str) -> StructureShape:
    if table.startswith("Create"):
        return typing.cast(StructureShape, model.operation_model(table).input_shape)
    return typing.cast(StructureShape, model.shape_for(table))


def leaves(shape: StructureShape, path: str = "") -> Iterator[tuple[str, Shape]]:
    for name, member in shape.members.items():
        here = f"{path}.{name}" if path else name
        inner, below = (
            (member.member, f"{here}[]") if isinstance(member, ListShape) else (member, here)
        )
        if isinstance(inner, StructureShape):
            yield from leaves(inner, below)
        else:
            yield below, inner


def rows_for(path: str, table: Mapping[str, Any]) -> list[str]:
    return [row for row in table if path == row or path.startswith(f"{row}.")]


@pytest.mark.parametrize("name", TABLES)
def test_each_field_that_botocore_knows_is_in_one_row(sagemaker: ServiceModel, name: str) -> None:
    for path, _ in leaves(shape_of(sagemaker, name)):
        assert len(rows_for(path, TABLES[name])) == 1, f"{name}.{path}"


@pytest.mark.parametrize("name", TABLES)
def test_each_row_is_of_a_field_that_botocore_knows(sagemaker: ServiceModel, name: str) -> None:
    known = [path for path, _ in leaves(shape_of(sagemaker, name))]
    for row in TABLES[name]:
        assert any(rows_for(path, {row: None}) for path in known), f"{name}.{row}"


def test_a_field_of_a_newer_botocore_is_found() -> None:
    table = {"VariantName": None, "CoreDumpConfig": None}
    assert not rows_for("VariantNameOverride", table)
    assert not rows_for("CoreDump", table)
    assert rows_for("CoreDumpConfig.KmsKeyId", table) == ["CoreDumpConfig"]


def annotation_at(path: str) -> object:
    """The annotation of the config's field at the path in an entry; fails if there is none."""
    models: list[Any] = [JumpstartModel]
    annotation: object = None
    for part in path.replace("[]", "").split("."):
        (annotation,) = [
            info.rebuild_annotation()
            for model in models
            for name, info in model.model_fields.items()
            if part == (info.alias or name)
        ]
        models = list(models_in(annotation))
    return annotation


def choices(annotation: object) -> set[str]:
    if typing.get_origin(annotation) is typing.Literal:
        return set(typing.get_args(annotation))
    return {each for inner in typing.get_args(annotation) for each in choices(inner)}


@pytest.mark.parametrize("name", TABLES)
def test_the_config_takes_the_values_that_sagemaker_takes_but_for_those_of_the_table(
    sagemaker: ServiceModel, name: str
) -> None:
    shapes = dict(leaves(shape_of(sagemaker, name)))
    for path, row in TABLES[name].items():
        if not row.ours:
            continue
        taken = choices(annotation_at(row.ours))
        allowed = set(getattr(shapes[path], "enum", ()))
        if taken and all(isinstance(each, str) for each in taken):
            assert taken | row.values.keys() == allowed, path
            assert not taken & row.values.keys(), path


@pytest.mark.slow
@pytest.mark.parametrize("name", TABLES)
def test_what_the_table_says_of_the_provider_is_true(
    name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    schema = of_terraform(Terraform.at(tmp_path_factory.mktemp("schema")))
    resource, place = RESOURCES[name]
    block = schema["resource_schemas"][resource]["block"]
    for part in place:
        block = block["block_types"][part]["block"]
    for path, row in TABLES[name].items():
        missing = row.why.startswith(NOT_IN_PROVIDER)
        assert _has(block, path, top=not place) is not missing, f"{name}.{path}"


def _has(block: Mapping[str, Any], path: str, *, top: bool) -> bool:
    names = [xform_name(part) for part in re.sub(r"\[\]", "", path).split(".")]
    if top:
        names[0] = OTHER_NAMES.get(names[0], names[0])
    for name in names[:-1]:
        found = block.get("block_types", {}).get(name)
        if found is None:
            return False
        block = found["block"]
    return names[-1] in {**block.get("attributes", {}), **block.get("block_types", {})}


def test_the_page_is_current() -> None:
    run = "run `python -m constructs_lib.config.sagemaker_fields`"
    assert PAGE.read_text() == page(), run
