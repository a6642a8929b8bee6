"""A patched number or boolean of API Gateway is one.

Patch operations have all values as strings, and MiniStack keeps them so. Nobody who knows the types
of a record, as Terraform does, can read it then, nor any list in which it is.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from botocore import xform_name
from botocore.model import Shape
from botocore.session import get_session

apigateway: Any = import_module("ministack.services.apigateway_v1")
TYPES: dict[str, Callable[[str], object]] = {
    "boolean": lambda value: value.lower() == "true",
    "double": float,
    "integer": int,
}


def apply() -> None:
    """Read the values of each update as the types that its answer has."""
    model = get_session().get_service_model("apigateway")
    for operation in model.operation_names:
        name = f"_{xform_name(operation)}"
        if name.startswith("_update_") and hasattr(apigateway, name):
            answer = model.operation_model(operation).output_shape
            setattr(apigateway, name, _typed(getattr(apigateway, name), answer))


def _typed(update: Callable[..., Any], answer: Shape | None) -> Callable[..., Any]:
    def typed(*args: Any) -> Any:
        *place, data = args
        for each in data.get("patchOperations") or []:
            read = TYPES.get(_type_at(answer, each["path"]))
            if read and isinstance(each.get("value"), str):
                each["value"] = read(each["value"])
        return update(*place, data)

    return typed


def _type_at(shape: Any, path: str) -> str:  # Any: a Shape of any kind
    """The type of what a path leads to; empty if the answer has nothing there."""
    for key in path.removeprefix("/").split("/"):
        if shape.type_name == "map":
            shape = shape.value
        elif shape.type_name == "structure" and key in shape.members:
            shape = shape.members[key]
        else:
            return ""
    name: str = shape.type_name
    return name
