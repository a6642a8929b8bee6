"""Which tests run a changed line."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path

from tests.mutants.changes import Mutant, lines_of

IMPORT = ""
"""Stands for a test, where lines ran while modules were imported."""
Lines = Mapping[str, Mapping[int, frozenset[str]]]
"""For each file and line the tests that ran it."""


@dataclass(frozen=True)
class Recording:
    """Which test ran which line, and how much processor time each test took."""

    lines: Lines
    seconds: Mapping[str, float]


@dataclass(frozen=True)
class Choice:
    """The tests for a mutant, the quickest first. `fresh`: the line has run during imports, so that
    modules must be imported again."""

    tests: Sequence[str]
    fresh: bool


@dataclass(frozen=True)
class _Use:
    """Lines that use names, and what they define by them."""

    file: str
    lines: range
    defines: frozenset[str]


@dataclass
class Covering:
    """Finds the tests of each mutant, the quickest, for `most_seconds` at most. A mutant that acts
    during imports is found by the tests that use what it changes, in any file of the recording."""

    recording: Recording
    most_seconds: float
    _uses: dict[str, list[_Use]] = field(default_factory=lambda: defaultdict(list))
    _in_file: dict[str, list[_Use]] = field(default_factory=lambda: defaultdict(list))
    _found: dict[frozenset[str], frozenset[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for file in sorted(self.recording.lines):
            for names, use in _uses(file, ast.parse(Path(file).read_text()), None):
                self._in_file[file].append(use)
                for name in names:
                    self._uses[name].append(use)

    def choose(self, mutant: Mutant) -> Choice:
        ran = self._ran(mutant.file, mutant.lines)
        if ran and IMPORT not in ran:
            return Choice(self._quickest(ran), fresh=False)
        changed = frozenset().union(
            *(
                use.defines
                for use in self._in_file[mutant.file]
                if use.lines.start <= mutant.lines.start < use.lines.stop
            )
        )
        if changed not in self._found:
            self._found[changed] = self._users_of(changed)
        return Choice(self._quickest((ran - {IMPORT}) | self._found[changed]), fresh=True)

    def _quickest(self, tests: Iterable[str]) -> Sequence[str]:
        seconds = self.recording.seconds
        ordered = sorted(tests, key=lambda test: (seconds[test], test))
        ends = accumulate(seconds[test] for test in ordered)
        return [
            test
            for number, (test, end) in enumerate(zip(ordered, ends, strict=True))
            if number == 0 or end <= self.most_seconds
        ]

    def _users_of(self, names: frozenset[str]) -> frozenset[str]:
        """The tests that run a line with one of the names, or with what was made of it."""
        tests: set[str] = set()
        known, new = set(names), set(names)
        while new:
            uses = [use for name in new for use in self._uses[name]]
            new = set()
            for use in uses:
                ran = self._ran(use.file, use.lines)
                tests |= ran
                if IMPORT in ran:
                    new |= use.defines
            new -= known
            known |= new
        return frozenset(tests - {IMPORT})

    def _ran(self, file: str, lines: range) -> frozenset[str]:
        of_file = self.recording.lines.get(file, {})
        return frozenset().union(*(of_file.get(line, ()) for line in lines))


def _uses(file: str, node: ast.AST, owner: str | None) -> Iterator[tuple[frozenset[str], _Use]]:
    """Each statement with the names that it uses. `owner` is the function around it."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef):
            special = isinstance(node, ast.ClassDef) and child.name.startswith("__")
            inner: str | None = node.name if special else child.name  # type: ignore[attr-defined]
            yield from _uses(file, child, inner)
        elif isinstance(child, ast.stmt | ast.expr) and not hasattr(child, "body"):
            around = {node.name} if isinstance(node, ast.ClassDef) else set()
            defines = frozenset({owner} if owner else _assigned(child) | around)
            yield _names(child), _Use(file, lines_of(child), defines)
        elif isinstance(child, ast.AST):
            yield from _uses(file, child, owner)


def _assigned(node: ast.AST) -> set[str]:
    names = [child for child in ast.walk(node) if isinstance(child, ast.Name)]
    return {child.id for child in names if isinstance(child.ctx, ast.Store)}


def _names(node: ast.AST) -> frozenset[str]:
    found = set()
    for child in ast.walk(node):
        match child:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.keyword(arg=str(name)):
                found.add(name)
            case _:
                pass
    return frozenset(found)
