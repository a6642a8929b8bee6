"""The tool that makes mutants: which changes it makes, which tests it chooses, what it finds."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutants.__main__ import sample
from tests.mutants.changes import Mutant, mutants_of
from tests.mutants.covering import IMPORT, Choice, Covering, Recording

SNIPPET = '''\
"""A docstring is left alone."""
import logging

from typing import TYPE_CHECKING

_log = logging.getLogger(__name__)
LIMIT = 3
if TYPE_CHECKING:
    HIDDEN = 4


class Thing:
    """So is this one."""

    size: int = 5

    @property
    def big(self) -> bool:
        return not self.size < LIMIT

    def name(self, first: str | None) -> str:
        if first is None or first == "x":
            raise ValueError("a sentence for people is left alone")
        _log.info("so is a log")
        assert first, "and an assertion"
        return min(first, self.called(key="k", text=f"and text {first}"))


def loop(items: list[int]) -> dict[str, int]:
    total = 0
    for item in items:
        if item % 2:
            continue
        total += item
    return {"total": -total, "many": len([i for i in items if i > 1])}
'''


@pytest.fixture
def snippet(tmp_path: Path) -> list[Mutant]:
    file = tmp_path / "snippet.py"
    file.write_text(SNIPPET)
    return mutants_of(str(file))


def test_each_kind_of_change_is_made_once_and_nothing_else(snippet: list[Mutant]) -> None:
    found: dict[str, list[str]] = {}
    for mutant in snippet:
        line, _, change = mutant.change.partition(" | ")
        found.setdefault(f"{mutant.place}: {line.partition('(')[0]}", []).append(change)
    assert found == {
        "module: LIMIT = 3": ["3 -> 4"],
        "Thing: size: int = 5": ["5 -> 6"],
        "Thing.big: return not self.size < LIMIT": ["-> return None", "without not", "< -> <="],
        'Thing.name: if first is None or first == "x":': [
            "without first is None",
            "without first == 'x'",
            "is -> is not",
            "== -> !=",
            "'x' -> 'X…'",
        ],
        "Thing.name: raise ValueError": ["-> pass"],
        "Thing.name: return min": ["-> return None", "min -> max", "without key=", "'k' -> 'X…'"],
        "loop: total = 0": ["0 -> 1"],
        "loop: if item % 2:": ["not item % 2", "% -> *", "2 -> 3"],
        "loop: continue": ["-> break"],
        "loop: total += item": ["-> pass"],
        'loop: return {"total": -total, "many": len': [
            "-> return None",
            "without 'total'",
            "without 'many'",
            "without -",
            "if i > 1 -> if True",
            "> -> >=",
            "1 -> 2",
        ],
    }


def test_mutants_of_the_product_are_valid_code_that_differs_from_the_real_one() -> None:
    for file in ("lambdas/core/tick.py", "lambdas/aws/queues.py", "lambdas/handlers/bodies.py"):
        real = ast.dump(ast.parse(Path(file).read_text()))
        mutants = mutants_of(file)
        assert mutants
        assert len({mutant.key for mutant in mutants}) == len(mutants)
        for mutant in mutants:
            assert ast.dump(ast.parse(mutant.text())) != real, mutant.key


# --- which tests ------------------------------------------------------------------------------


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    """A module with a limit, and another one that uses it."""
    limits, rules = tmp_path / "limits.py", tmp_path / "rules.py"
    limits.write_text("LIMIT = 3\nOTHER = 4\n\n\ndef half():\n    return LIMIT // 2\n")
    rules.write_text(
        "from limits import LIMIT\n\nMOST = LIMIT * 2\n\n\ndef allowed(n):\n    return n < MOST\n"
    )
    return str(limits), str(rules)


def chosen(files: tuple[str, str], change: str, most_seconds: float = 99.0) -> Choice:
    limits, rules = files
    everywhere = frozenset({IMPORT})
    lines = {
        limits: {1: everywhere, 2: everywhere, 6: frozenset({"quick", "slow"})},
        rules: {1: everywhere, 3: everywhere, 7: frozenset({"middle"})},
    }
    recording = Recording(lines, {"quick": 0.1, "middle": 0.2, "slow": 5.0})
    (mutant,) = (m for file in files for m in mutants_of(file) if m.change.startswith(change))
    return Covering(recording, most_seconds).choose(mutant)


def test_change_of_a_function_is_for_the_tests_that_ran_its_line(files: tuple[str, str]) -> None:
    assert chosen(files, "return LIMIT // 2 | 2 -> 3") == Choice(["quick", "slow"], fresh=False)


def test_change_of_a_constant_is_for_the_tests_of_all_that_is_made_of_it(
    files: tuple[str, str],
) -> None:
    assert chosen(files, "LIMIT = 3 | 3 -> 4") == Choice(["quick", "middle", "slow"], fresh=True)
    assert chosen(files, "MOST = LIMIT * 2 | 2 -> 3") == Choice(["middle"], fresh=True)


def test_change_of_what_no_test_uses_has_no_tests(files: tuple[str, str]) -> None:
    assert chosen(files, "OTHER = 4 | 4 -> 5") == Choice([], fresh=True)


def test_tests_beyond_the_limit_of_time_are_left_out_but_never_all(
    files: tuple[str, str],
) -> None:
    assert chosen(files, "LIMIT = 3 | 3 -> 4", 1.0).tests == ["quick", "middle"]
    assert chosen(files, "LIMIT = 3 | 3 -> 4", 0.0).tests == ["quick"]


# --- a run ------------------------------------------------------------------------------------

THING = """\
LIMIT = 3


def allowed(number):
    return number < LIMIT


def unused(number):
    while number > 0:
        number -= 1
    return number
"""
TESTS = """\
from lambdas.thing import allowed, unused


def test_only_small_numbers_are_allowed():
    assert allowed(2)
    assert not allowed(5)


def test_numbers_run_out():
    unused(2)
"""
TOOL = """\
import sys

from tests.mutants import __main__ as tool

tool.TESTS, tool.SLOW, tool.OTHER_CODE = ("tests/unit/test_thing.py",), (), frozenset()
sys.exit(tool.main())
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with one module, one test of it, and the tool."""
    for name, text in {
        "lambdas/__init__.py": "",
        "lambdas/thing.py": THING,
        "tests/__init__.py": "",
        "tests/unit/__init__.py": "",
        "tests/unit/test_thing.py": TESTS,
        "tool.py": TOOL,
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    shutil.copytree("tests/mutants", tmp_path / "tests/mutants")
    (tmp_path / "tests/mutants/survivors.toml").write_text("")
    return tmp_path


def run(project: Path, *arguments: str) -> tuple[int, str]:
    """The exit code of the tool, and what it printed without the progress of the tests."""
    command = [sys.executable, "tool.py", "--jobs", "1", *arguments]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.returncode, done.stdout


def table(printed: str) -> list[str]:
    (row,) = (line for line in printed.splitlines() if line.startswith("all "))
    return row.split()[1:5]


def survivors(printed: str) -> list[str]:
    lines = printed.splitlines()
    return [line.partition("thing.py ")[2] for line in lines if line.startswith("survived: ")]


@pytest.mark.slow
def test_run_tells_which_mutants_no_test_noticed_and_goes_on_where_it_was(project: Path) -> None:
    status, printed = run(project)
    assert status == 1
    found = survivors(printed)
    assert found == [
        "allowed: return number < LIMIT | < -> <=",
        "module: LIMIT = 3 | 3 -> 4",
        "unused: number -= 1 | 1 -> 2",
        "unused: return number | -> return None",
        "unused: while number > 0: | 0 -> 1",
        "unused: while number > 0: | > -> >=",
    ]
    # Killed: a `return None`, and a loop without an end.
    assert table(printed) == ["8", "2", "0", "6"]
    assert "fewer than 90% of the mutants were killed" in printed

    keys = ", ".join(f'"lambdas/thing.py {name}"' for name in [*found, "gone"])
    listed = f'[[group]]\nwhy = "the tests are small"\nmutants = [{keys}]\n'
    (project / "tests/mutants/survivors.toml").write_text(listed)
    status, printed = run(project)
    assert " mutants to run" not in printed, "nothing that matters has changed"
    assert table(printed) == ["8", "2", "6", "0"]
    assert status == 1
    assert "remove it from tests/mutants/survivors.toml: lambdas/thing.py gone" in printed


@pytest.mark.slow
def test_tests_that_fail_without_a_mutant_are_told(project: Path) -> None:
    file = project / "tests/unit/test_thing.py"
    file.write_text(TESTS.replace("allowed(2)", "allowed(7)"))
    status, printed = run(project, "--sample", "3")
    assert status == 2
    assert "tests fail without any mutant" in printed
    assert "test_only_small_numbers_are_allowed" in printed


@pytest.mark.slow
def test_name_of_a_test_that_is_not_there_is_told(project: Path) -> None:
    tool = project / "tool.py"
    tool.write_text(TOOL.replace("(), frozenset()", '("tests/unit/test_thing.py::test_gone",), ()'))
    status, printed = run(project)
    assert status == 2
    assert "tests/unit/test_thing.py::test_gone" in printed


def test_sample_of_a_seed_changes_little_when_the_source_does(tmp_path: Path) -> None:
    file = tmp_path / "snippet.py"
    file.write_text(SNIPPET)
    before = {mutant.key for mutant in sample(mutants_of(str(file)), 8, "seed")}
    file.write_text(SNIPPET.replace("size: int = 5", "size: int = 6"))
    after = {mutant.key for mutant in sample(mutants_of(str(file)), 8, "seed")}
    assert len(before) == len(after) == 8
    assert len(before - after) <= 1
    assert {mutant.key for mutant in sample(mutants_of(str(file)), 8, "other")} != after
