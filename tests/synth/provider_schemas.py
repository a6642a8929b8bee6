"""What a version of the AWS provider knows: of the tested one from Terraform, of 6.x from the
bindings, which were generated from its schema."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import typing
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

import main
from constructs_lib.provider_lock import PROVIDER_SOURCE, PROVIDER_VERSIONS, TESTED_PROVIDER
from tests.synth.terraform import Terraform
from tools.terraform_cli import PROVIDER

SECTIONS = {"resource": "resource_schemas", "data": "data_source_schemas"}
# Terraform's own, which it takes from every provider's resources.
META = {"//", "count", "depends_on", "for_each", "lifecycle", "provider"}


def settings(document: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Section, kind and body of each block of a stack that the AWS provider reads."""
    for section in SECTIONS:
        for kind, found in document.get(section, {}).items():
            if kind.startswith("aws_"):
                yield from ((section, kind, body) for body in found.values())
    for body in document["provider"]["aws"]:
        yield "provider", "aws", body


def blocks(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


# --- the tested version -----------------------------------------------------------------------


def of_terraform(terraform: Terraform) -> Mapping[str, Any]:
    """The schema of the tested provider. Terraform takes ten seconds, so it is kept."""
    kept = main.CACHE / f"provider-schema-{TESTED_PROVIDER}.json"
    if not kept.exists():
        required = {"aws": {"source": PROVIDER_SOURCE, "version": PROVIDER_VERSIONS}}
        terraform.take({"terraform": {"required_providers": required}})
        terraform.run("init", "-input=false")
        draft = kept.with_name(f"{kept.name}.{os.getpid()}")
        draft.write_text(terraform.run("providers", "schema", "-json"))
        draft.replace(kept)
    schema: dict[str, Any] = json.loads(kept.read_text())["provider_schemas"][PROVIDER]
    return schema


def unknown_to_terraform(
    schema: Mapping[str, Any], section: str, kind: str, body: Mapping[str, Any]
) -> Iterator[str]:
    """The paths of what the body sets and the schema does not have."""
    found = schema["provider"] if section == "provider" else schema[SECTIONS[section]].get(kind)
    if found is None:
        yield kind
    else:
        yield from _not_in_block(found["block"], body, kind)


def _not_in_block(block: Mapping[str, Any], body: Mapping[str, Any], path: str) -> Iterator[str]:
    for name, value in body.items():
        here = f"{path}.{name}"
        if name in block.get("block_types", {}):
            for each in blocks(value):
                yield from _not_in_block(block["block_types"][name]["block"], each, here)
        elif name in block.get("attributes", {}):
            yield from _not_in_type(block["attributes"][name].get("type"), value, here)
        elif name not in META:
            yield here


def _not_in_type(kind: Any, value: Any, path: str) -> Iterator[str]:
    match kind, value:
        case ["object", fields], dict():
            for name, inner in value.items():
                if name in fields:
                    yield from _not_in_type(fields[name], inner, f"{path}.{name}")
                else:
                    yield f"{path}.{name}"
        case ["list" | "set", inner], list():
            for each in value:
                yield from _not_in_type(inner, each, path)
        case _:
            pass  # keys of a map are the user's


# --- 6.x --------------------------------------------------------------------------------------


def unknown_to_bindings(section: str, kind: str, body: Mapping[str, Any]) -> Iterator[str]:
    """The paths of what the body sets and the config classes of the bindings do not have."""
    short = kind.removeprefix("aws_")
    name = {"resource": short, "data": f"data_aws_{short}", "provider": "provider"}[section]
    try:
        module = importlib.import_module(f"cdktf_cdktf_provider_aws.{name}")
    except ModuleNotFoundError:
        yield kind
        return
    (config,) = (each for each in vars(module).values() if _is_config(each))
    yield from _not_in_struct(module, config, body, kind)


def _is_config(value: Any) -> bool:
    """Whether this is the class of all that a resource, a data source or a provider takes."""
    if not isinstance(value, type):
        return False
    # by name: cdktf may only be imported after the first synth
    bases = {base.__name__ for base in value.__bases__}
    return "TerraformMetaArguments" in bases or value.__name__ == "AwsProviderConfig"


def _not_in_struct(
    module: ModuleType, struct: type, body: Mapping[str, Any], path: str
) -> Iterator[str]:
    parameters = inspect.signature(struct).parameters
    for name, value in body.items():
        here = f"{path}.{name}"
        if name in parameters:
            inner = _struct_in(module, parameters[name].annotation)
            for each in blocks(value) if inner else ():
                yield from _not_in_struct(module, inner, each, here)  # type: ignore[arg-type]
        elif name not in META:
            yield here


def _struct_in(module: ModuleType, annotation: Any) -> type | None:
    """The class of the nested blocks that a parameter takes."""
    if isinstance(annotation, typing.ForwardRef | str):
        name = annotation if isinstance(annotation, str) else annotation.__forward_arg__
        annotation = getattr(module, name.strip("\"'"), None)
    if hasattr(annotation, "__jsii_name_mapping__"):
        return typing.cast(type, annotation)
    found = (_struct_in(module, inner) for inner in typing.get_args(annotation))
    return next((struct for struct in found if struct), None)
