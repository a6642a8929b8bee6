"""Which AWS operations the code of a function can reach, read from its source.

This is a call graph by names. It starts at the handler: every function and class whose name occurs
is reached, in the imported modules. Only the adapters in `lambdas.aws` call AWS. Lists and
dictionaries have methods with the same names (`append`, `update`). So a method of an adapter counts
as reached only if it is called on a name that can be this adapter, or a port that it implements.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import botocore.session
from botocore import xform_name

from local.simulator.callers_name import IN_CALLERS_NAME

ROOT = Path(__file__).resolve().parents[2]
ROUTES = "lambdas.handlers.routes"
"""The API imports every module of this package by itself."""
ADAPTERS = "lambdas.aws."
Function = ast.FunctionDef | ast.AsyncFunctionDef
# The IAM prefix of a service, where it differs from the name of the boto3 client.
PREFIXES = {"sagemaker-runtime": "sagemaker", "stepfunctions": "states"}
# Operations with another name in IAM, or with more than one action.
ACTIONS = {
    "lambda:Invoke": ("lambda:InvokeFunction",),
    "sqs:SendMessageBatch": ("sqs:SendMessage",),
    **{
        action: (action, *(deed.action for deed in deeds))
        for action, deeds in IN_CALLERS_NAME.items()
    },
    # Each part of a transaction has its own action, which is found separately.
    "dynamodb:TransactWriteItems": (),
}
CLIENT_TYPES = {
    "DynamoDBClient": "dynamodb",
    "LambdaClient": "lambda",
    "S3Client": "s3",
    "SFNClient": "stepfunctions",
    "SNSClient": "sns",
    "SQSClient": "sqs",
    "SageMakerClient": "sagemaker",
    "SageMakerRuntimeClient": "sagemaker-runtime",
}
CLIENT_DEFAULTS = {
    "autoscaling": "application-autoscaling",
    "cloudwatch": "cloudwatch",
    "logs": "logs",
}
PARTS = {
    "ConditionCheck": "dynamodb:ConditionCheckItem",
    "Delete": "dynamodb:DeleteItem",
    "Put": "dynamodb:PutItem",
    "Update": "dynamodb:UpdateItem",
}


@dataclass
class Reached:
    """What was found so far. The types of a name are those it is `bound` to, or else those it is
    `declared` with; for the name of a function, those it `returned`."""

    returned: Mapping[str, set[str]]
    names: set[str] = field(default_factory=set)
    attributes: set[tuple[str, str]] = field(default_factory=set)
    """(name of what it is called on, attribute)"""
    bound: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    declared: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def take(self, nodes: Iterable[ast.AST], owner: str) -> None:
        for node in (found for each in nodes for found in ast.walk(each)):
            match node:
                case ast.Name(id=name):
                    self.names.add(name)
                case ast.Attribute(value=value, attr=name):
                    self.attributes.add((_called_on(value, owner), name))
                case ast.arg(arg=name, annotation=annotation) if annotation:
                    self.declared[_bare(name)] |= _named_in(annotation)
                case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation):
                    self.declared[_bare(name)] |= _named_in(annotation)
                case ast.keyword(arg=str(name), value=ast.Call(func=func)):
                    self.bound[_bare(name)] |= self._made_by(func)
                case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=func)):
                    self.bound[_bare(name)] |= self._made_by(func)
                case _:
                    pass

    def may_be(self, name: str, adapter: ast.ClassDef, ports: Mapping[str, set[str]]) -> bool:
        """Whether something with this name can be an instance of the adapter."""
        if name == adapter.name:
            return True
        bare = _bare(name)
        types = self.bound.get(bare) or self.declared.get(bare, set())
        types = types | self.returned.get(name, set())
        return adapter.name in types or any(
            ports[port] <= {method.name for method in _functions(adapter)}
            for port in types & ports.keys()
        )

    def _made_by(self, func: ast.expr) -> set[str]:
        """The types of the result of a call: the class itself, or what the function returns."""
        name = _called_on(func, "")
        return self.returned.get(name, {name} if name[:1].isupper() else set())


def actions_of(module: str) -> set[str]:
    """The IAM actions that `handler` of the module needs for the AWS calls it can reach."""
    modules = _modules()
    imported = _imported(module, modules)
    ports = _ports(modules)
    reached = Reached(_returned(modules))
    reached.names.add("handler")
    waiting: list[tuple[str, ast.ClassDef | None, Function | ast.ClassDef]] = []
    for name in imported:
        for node in modules[name].body:
            if isinstance(node, Function | ast.ClassDef):
                if not (isinstance(node, Function) and node.name == "handler" and name != module):
                    waiting.append((name, None, node))
            elif not isinstance(node, ast.Import | ast.ImportFrom | ast.If):
                reached.take([node], "")
    actions: set[str] = set()
    while found := [each for each in waiting if _is_reached(each, reached, ports)]:
        for each in found:
            waiting.remove(each)
            name, owner, node = each
            if isinstance(node, ast.ClassDef):
                waiting += [(name, node, method) for method in _functions(node)]
                rest = [part for part in node.body if not isinstance(part, Function)]
                reached.take([*rest, *node.bases, *node.decorator_list], node.name)
            else:
                reached.take([node], owner.name if owner else "")
                if owner and name.startswith(ADAPTERS):
                    actions |= set(_actions_in(node, _clients(owner)))
    return actions


def _is_reached(
    waiting: tuple[str, ast.ClassDef | None, Function | ast.ClassDef],
    reached: Reached,
    ports: Mapping[str, set[str]],
) -> bool:
    module, owner, node = waiting
    if owner is None:
        return node.name in reached.names | {name for _, name in reached.attributes}
    if node.name.startswith("__"):
        return True
    called_on = {on for on, name in reached.attributes if name == node.name}
    if not module.startswith(ADAPTERS):
        return bool(called_on)
    return any(reached.may_be(on, owner, ports) for on in called_on)


def _actions_in(method: Function, clients: Mapping[str, str]) -> Iterator[str]:
    """The IAM actions of the calls in a method of an adapter; `clients`: service by attribute."""
    for node in ast.walk(method):
        match node:
            case ast.Call(func=ast.Attribute(value=value, attr=name), args=arguments):
                service = clients.get(_called_on(value, ""))
                if service is None:
                    continue
                if name in {"get_paginator", "generate_presigned_url"}:
                    name = ast.literal_eval(arguments[0])
                yield from _operations(service)[name]
            case ast.Dict(keys=[ast.Constant(value=str(part))]) if part in PARTS:
                yield PARTS[part]
            case _:
                pass


def _clients(adapter: ast.ClassDef) -> Mapping[str, str]:
    """The service of each boto3 client of the adapter, by the attribute that holds the client. The
    declared type (SNSClient) or the default (clients.autoscaling) tells which it is."""
    found = {}
    for init in (method for method in _functions(adapter) if method.name == "__init__"):
        parameters = init.args.args
        defaults = [*[None] * (len(parameters) - len(init.args.defaults)), *init.args.defaults]
        for parameter, default in zip(parameters, defaults, strict=True):
            named = _named_in(parameter.annotation) if parameter.annotation else set()
            types = named & CLIENT_TYPES.keys()
            if types:
                found[f"_{parameter.arg}"] = CLIENT_TYPES[types.pop()]
            elif isinstance(default, ast.Attribute) and _called_on(default.value, "") == "clients":
                found[f"_{parameter.arg}"] = CLIENT_DEFAULTS[default.attr]
    return found


@cache
def _operations(service: str) -> Mapping[str, tuple[str, ...]]:
    """The IAM actions of a service, by the name of the client's method."""
    model = botocore.session.get_session().get_service_model(service)
    prefix = PREFIXES.get(service, service)
    actions = {xform_name(name): f"{prefix}:{name}" for name in model.operation_names}
    return {method: ACTIONS.get(action, (action,)) for method, action in actions.items()}


@cache
def _modules() -> Mapping[str, ast.Module]:
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): ast.parse(
            path.read_text()
        )
        for folder in ("functions", "lambdas")
        for path in (ROOT / folder).rglob("*.py")
    }


def _imported(module: str, modules: Mapping[str, ast.Module]) -> set[str]:
    """The module and all of our modules that it imports, directly or indirectly."""
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in seen or name not in modules:
            continue
        seen.add(name)
        for node in ast.walk(modules[name]):
            if isinstance(node, ast.ImportFrom) and node.module:
                waiting += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        if name == ROUTES:
            waiting += [each for each in modules if each.startswith(f"{ROUTES}.")]
    return seen


def _ports(modules: Mapping[str, ast.Module]) -> Mapping[str, set[str]]:
    """The names of the methods of each Protocol of the core."""
    return {
        node.name: {method.name for method in _functions(node)}
        for name, module in modules.items()
        if name.startswith("lambdas.core.")
        for node in module.body
        if isinstance(node, ast.ClassDef)
        and any("Protocol" in _named_in(base) for base in node.bases)
    }


def _functions(node: ast.ClassDef) -> list[Function]:
    return [method for method in node.body if isinstance(method, Function)]


def _called_on(value: ast.expr, owner: str) -> str:
    match value:
        case ast.Name(id="self"):
            return owner
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Call(func=func):
            return _called_on(func, owner)
        case ast.Subscript(value=value):  # one of several clients
            return _called_on(value, owner)
        case _:
            return ""


def _returned(modules: Mapping[str, ast.Module]) -> Mapping[str, set[str]]:
    """The declared return types of functions, by name."""
    found: dict[str, set[str]] = defaultdict(set)
    for module in modules.values():
        for node in module.body:
            if isinstance(node, Function) and node.returns:
                found[node.name] |= _named_in(node.returns)
    return found


def _named_in(annotation: ast.expr) -> set[str]:
    return {node.id for node in ast.walk(annotation) if isinstance(node, ast.Name)}


def _bare(name: str) -> str:
    return name.lstrip("_")
