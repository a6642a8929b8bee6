"""The small changes that make mutants of a source file."""

from __future__ import annotations

import ast
import copy
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial, singledispatch
from itertools import accumulate
from pathlib import Path
from typing import TypeVar

_SWAPPED: dict[type[ast.AST], tuple[str, Callable[[], ast.AST]]] = {
    ast.Lt: ("< -> <=", ast.LtE),
    ast.LtE: ("<= -> <", ast.Lt),
    ast.Gt: ("> -> >=", ast.GtE),
    ast.GtE: (">= -> >", ast.Gt),
    ast.Eq: ("== -> !=", ast.NotEq),
    ast.NotEq: ("!= -> ==", ast.Eq),
    ast.Is: ("is -> is not", ast.IsNot),
    ast.IsNot: ("is not -> is", ast.Is),
    ast.In: ("in -> not in", ast.NotIn),
    ast.NotIn: ("not in -> in", ast.In),
    ast.Add: ("+ -> -", ast.Sub),
    ast.Sub: ("- -> +", ast.Add),
    ast.Mult: ("* -> //", ast.FloorDiv),
    ast.Div: ("/ -> *", ast.Mult),
    ast.FloorDiv: ("// -> *", ast.Mult),
    ast.Mod: ("% -> *", ast.Mult),
    ast.Pow: ("** -> *", ast.Mult),
}
_COUNTERPARTS = {"min": "max", "max": "min", "any": "all", "all": "any"}
_SENTENCE = re.compile(r"\w[,;:]? \w")
"""Text for people: which words it has is not worth a test of its own."""
_EXPRESSION = re.compile(r"= :|[<>]|\(|SET ")
"""Text for DynamoDB."""
_Node = TypeVar("_Node", bound=ast.AST)


@dataclass(frozen=True)
class Mutant:
    """The source `file` (a path in the repository) with `new` at the bytes of `span`.

    `place` is the function or class, `lines` are those of the changed statement. `key` identifies
    the mutant until somebody edits the line.
    """

    file: str
    place: str
    lines: range
    change: str
    span: slice
    new: str

    @cached_property
    def key(self) -> str:
        return f"{self.file} {self.place}: {self.change}"

    @property
    def module(self) -> str:
        return self.file.removesuffix(".py").replace("/", ".")

    def text(self) -> str:
        source = Path(self.file).read_bytes()
        return (source[: self.span.start] + self.new.encode() + source[self.span.stop :]).decode()


@dataclass(frozen=True)
class _Edit:
    """`old` becomes the text `new`. `shown` is for people."""

    old: ast.AST
    new: str
    shown: str


def mutants_of(file: str) -> list[Mutant]:
    """All mutants of a source file."""
    lines = Path(file).read_bytes().splitlines(keepends=True)
    starts = [0, *accumulate(map(len, lines))]
    seen: Counter[tuple[str, str]] = Counter()
    mutants = []
    for place, around, node in _walk(ast.parse(b"".join(lines)), "", range(0)):
        for edit in _edits(node):
            old = edit.old
            assert isinstance(old, ast.expr | ast.stmt)
            assert old.end_lineno is not None
            assert old.end_col_offset is not None
            begin = starts[old.lineno - 1] + old.col_offset
            end = starts[old.end_lineno - 1] + old.end_col_offset
            change = f"{lines[old.lineno - 1].decode().strip()} | {edit.shown}"
            seen[place, change] += 1
            if seen[place, change] > 1:
                change += f" ({seen[place, change]})"
            mutants.append(
                Mutant(file, place or "module", around, change, slice(begin, end), edit.new)
            )
    return mutants


def _walk(node: ast.AST, place: str, around: range) -> Iterator[tuple[str, range, ast.AST]]:
    """All nodes that may be changed. With each: the function or class, and the lines of its
    statement (without those of the statements inside)."""
    for child in ast.iter_child_nodes(node):
        if _is_left_alone(node, child):
            continue
        if isinstance(child, ast.FunctionDef | ast.ClassDef):
            yield from _walk(child, f"{place}.{child.name}".lstrip("."), lines_of(child))
            continue
        within = around
        if isinstance(child, ast.stmt) or (isinstance(child, ast.expr) and _is_compound(node)):
            within = lines_of(child)
        yield place, within, child
        yield from _walk(child, place, within)


def _is_compound(node: ast.AST) -> bool:
    return isinstance(node, ast.match_case | ast.withitem) or hasattr(node, "body")


def lines_of(node: ast.stmt | ast.expr) -> range:
    return range(node.lineno, (node.end_lineno or node.lineno) + 1)


def _is_left_alone(parent: ast.AST, child: ast.AST) -> bool:  # noqa: PLR0911 (a list of cases)
    """Whether no test could find a change there, or none should: types, decorators, docstrings,
    logs, messages, assertions."""
    match parent:
        case ast.FunctionDef() if child in parent.decorator_list or child is parent.returns:
            return True
        case ast.ClassDef() if child in parent.decorator_list:
            return True
        case ast.AnnAssign() | ast.arg() if child is parent.annotation:
            return True
        case ast.If(test=ast.Name("TYPE_CHECKING")):
            return True
        case ast.Dict() if child in parent.keys and isinstance(child, ast.Constant):
            return True  # the whole entry is dropped
        case _:
            pass
    match child:
        case ast.Assert() | ast.JoinedStr() | ast.Import() | ast.ImportFrom():
            return True
        case ast.Expr(
            value=ast.Constant() | ast.Call(func=ast.Attribute(value=ast.Name("_log" | "log")))
        ):
            return True
        case ast.Raise(exc=ast.Call(func=ast.Name("AssertionError"))):
            return True
        case ast.Assign(targets=[ast.Name("_log" | "_Result")]):
            return True
        case _:
            return False


@singledispatch
def _edits(_node: ast.AST) -> Iterator[_Edit]:
    """The changes of one node."""
    return iter(())


@_edits.register
def _(node: ast.Compare) -> Iterator[_Edit]:
    for index, operator in enumerate(node.ops):
        shown, other = _SWAPPED[type(operator)]
        yield _expression(node, partial(_put_operator, index, other), shown)


@_edits.register
def _(node: ast.BinOp) -> Iterator[_Edit]:
    if type(node.op) in _SWAPPED and not _is_text(node.left) and not _is_text(node.right):
        shown, other = _SWAPPED[type(node.op)]
        yield _expression(node, lambda new: setattr(new, "op", other()), shown)


@_edits.register
def _(node: ast.BoolOp) -> Iterator[_Edit]:
    for index, value in enumerate(node.values):
        shown = f"without {ast.unparse(value)}"
        yield _expression(node, partial(_take_value, index), shown)


@_edits.register
def _(node: ast.UnaryOp) -> Iterator[_Edit]:
    if isinstance(node.op, ast.Not | ast.USub):
        sign = "not" if isinstance(node.op, ast.Not) else "-"
        yield _Edit(node, f"({ast.unparse(node.operand)})", f"without {sign}")


@_edits.register
def _(node: ast.Constant) -> Iterator[_Edit]:
    match node.value:
        case bool():
            yield _Edit(node, str(not node.value), f"{node.value} -> {not node.value}")
        case int():
            yield _Edit(node, str(node.value + 1), f"{node.value} -> {node.value + 1}")
        case float():
            yield _Edit(node, str(node.value + 1), f"{node.value} -> {node.value + 1}")
        case str() if node.value and not _is_sentence(node.value):
            yield _Edit(node, repr(f"X{node.value}"), f"{node.value!r} -> 'X…'")


@_edits.register
def _(node: ast.Call) -> Iterator[_Edit]:
    for index, keyword in enumerate(node.keywords):
        if keyword.arg is not None and not _is_text(keyword.value):
            shown = f"without {keyword.arg}="
            yield _expression(node, partial(_take_keyword, index), shown)
    match node.func:
        case ast.Name(id=name) if name in _COUNTERPARTS:
            yield _Edit(node.func, _COUNTERPARTS[name], f"{name} -> {_COUNTERPARTS[name]}")


@_edits.register
def _(node: ast.Dict) -> Iterator[_Edit]:
    for index, key in enumerate(node.keys):

        def without(new: ast.Dict, i: int = index) -> None:
            new.keys.pop(i)
            new.values.pop(i)

        shown = ast.unparse(key) if key else f"**{ast.unparse(node.values[index])}"
        yield _expression(node, without, f"without {shown}")


@_edits.register
def _(node: ast.IfExp) -> Iterator[_Edit]:
    yield from _negated(node, node.test)


@_edits.register
def _(node: ast.If) -> Iterator[_Edit]:
    match node.test:
        case ast.Name("TYPE_CHECKING"):  # never true when code runs
            return
        case _:
            yield from _negated(node, node.test)


@_edits.register
def _(node: ast.comprehension) -> Iterator[_Edit]:
    for test in node.ifs:
        yield _Edit(test, "True", f"if {ast.unparse(test)} -> if True")


@_edits.register
def _(node: ast.Expr) -> Iterator[_Edit]:
    if isinstance(node.value, ast.Call):
        yield _Edit(node, "pass", "-> pass")


@_edits.register
def _(node: ast.Raise) -> Iterator[_Edit]:
    yield _Edit(node, "pass", "-> pass")


@_edits.register
def _(node: ast.Continue) -> Iterator[_Edit]:
    yield _Edit(node, "break", "-> break")


@_edits.register
def _(node: ast.Break) -> Iterator[_Edit]:
    yield _Edit(node, "continue", "-> continue")


@_edits.register
def _(node: ast.AugAssign) -> Iterator[_Edit]:
    yield _Edit(node, "pass", "-> pass")


@_edits.register
def _(node: ast.Return) -> Iterator[_Edit]:
    match node.value:
        case None:
            yield _Edit(node, "pass", "-> pass")
        case ast.Constant():
            return
        case _:
            yield _Edit(node, "return None", "-> return None")


def _put_operator(index: int, operator: Callable[[], ast.AST], node: ast.Compare) -> None:
    node.ops[index] = operator()  # type: ignore[call-overload]


def _take_value(index: int, node: ast.BoolOp) -> None:
    node.values.pop(index)


def _take_keyword(index: int, node: ast.Call) -> None:
    node.keywords.pop(index)


def _negated(node: ast.AST, test: ast.expr) -> Iterator[_Edit]:
    """A test that is changed in no other way is negated."""
    if not isinstance(test, ast.Compare | ast.BoolOp | ast.UnaryOp):
        yield _Edit(test, f"(not ({ast.unparse(test)}))", f"not {ast.unparse(test)}")


def _expression(node: _Node, change: Callable[[_Node], object], shown: str) -> _Edit:
    new = copy.deepcopy(node)
    change(new)
    return _Edit(node, f"({ast.unparse(new)})", shown)


def _is_text(node: ast.AST) -> bool:
    """Whether it is text for people, or made with such."""
    match node:
        case ast.JoinedStr():
            return True
        case ast.Constant(value=str(text)):
            return _is_sentence(text)
        case ast.BinOp(op=ast.Add()):
            return _is_text(node.left) or _is_text(node.right)
        case _:
            return False


def _is_sentence(text: str) -> bool:
    return bool(_SENTENCE.search(text)) and not _EXPRESSION.search(text)
