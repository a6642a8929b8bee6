"""`make mutants`: run the tests on mutants, and print how many of them were killed."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import time
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, settings

from tests.mutants.changes import Mutant, mutants_of
from tests.mutants.covering import Choice, Covering, Recording
from tests.mutants.runner import OPTIONS, Result, Runner

LEAST_KILLED = 0.9
"""The share of mutants that must be killed, those of survivors.toml not counted."""
SURVIVORS = Path("tests/mutants/survivors.toml")
MOST_SECONDS = 20.0
"""Processor time for the tests of one mutant. The quickest come first: what they do not find, the
others seldom do. A mutant that only they find counts as one that survived."""
STATE = Path(".cache/mutants")
TESTS = (
    *sorted(map(str, Path("tests/unit").glob("test_*.py"))),
    "tests/contract/test_authorizer.py",
    "tests/contract/test_aws_adapters.py",
    "tests/contract/test_aws_clients.py",
    "tests/contract/test_aws_errors.py",
    "tests/contract/test_endpoint_logs.py",
    "tests/contract/test_handlers.py",
    "tests/contract/test_items.py",
    "tests/contract/test_model_functions.py",
    "tests/contract/test_model_of_updates.py",
    "tests/contract/test_rates.py",
    "tests/contract/test_results.py",
    "tests/contract/test_sagemaker.py",
    "tests/contract/test_scaling.py",
    "tests/contract/test_state_store.py",
)
OTHER_CODE = frozenset(
    f"tests/unit/test_{name}.py"
    for name in (
        "allowed_imports",
        "bootstrap",
        "direct_refusals",
        "documents",
        "hub_document",
        "lock_dependencies",
        "mutants_tool",
        "plan_summary",
        "terraform_cli",
    )
)
"""Tests of what does not run in Lambda."""
SLOW = (
    "tests/unit/test_api.py::test_no_request_body_causes_a_5xx",
    "tests/unit/test_schedule.py::test_boundary_agrees_with_a_minute_by_minute_search",
    "tests/unit/test_schedule.py::test_end_of_long_open_periods_agrees_with_a_walk_window_by_window",
    "tests/unit/test_schedule.py::test_next_transition_agrees_with_a_walk_minute_by_minute",
    "tests/unit/test_sessions.py::test_lease_is_the_latest_of_what_people_and_programs_paid",
    "tests/contract/test_state_store.py::test_a_crowd_is_claimed_except_for_changed_entries",
)
"""Tests that take seconds."""


class Ledger:
    """The results so far, in a file that a cut-off run leaves behind. That a mutant was killed
    holds until its file changes, that it survived only until any test or source changes."""

    def __init__(self, path: Path, now: str) -> None:
        self._path = path
        self._now = now
        self._known: dict[str, dict[str, Any]] = {}
        if path.exists():
            for line in path.read_text().splitlines():
                entry = json.loads(line)
                self._known[entry["mutant"]] = entry

    def result(self, mutant: Mutant) -> Result | None:
        entry = self._known.get(mutant.key)
        if entry is None or entry["file"] != _digest([mutant.file]):
            return None
        if entry["by"] is None and entry["now"] != self._now:
            return None
        return Result(mutant, entry["by"])

    def enter(self, result: Result) -> None:
        entry = {
            "mutant": result.mutant.key,
            "by": result.by,
            "file": _digest([result.mutant.file]),
            "now": self._now,
        }
        with self._path.open("a") as file:
            file.write(json.dumps(entry) + "\n")


def main() -> int:
    arguments = _arguments()
    if missing := _missing():
        print(f"{Path(__file__).name} names tests that are not there: {', '.join(missing)}")
        return 2
    sources = sorted(map(str, Path("lambdas").rglob("*.py")))
    tests = [*sorted(map(str, Path("tests").glob("*.py"))), *TESTS]
    now = _digest([*sources, *tests])
    listed = _listed()
    mutants = [mutant for file in arguments.files or sources for mutant in mutants_of(file)]
    if arguments.sample is not None:
        seed = arguments.seed or _digest(sources)
        print(f"seed {seed}")
        mutants = sample([m for m in mutants if m.key not in listed], arguments.sample, seed)
    STATE.mkdir(parents=True, exist_ok=True)
    ledger = Ledger(STATE / "results.jsonl", now)
    results = [result for mutant in mutants if (result := ledger.result(mutant))]
    found = {result.mutant.key for result in results}
    left = [mutant for mutant in mutants if mutant.key not in found]
    if left:
        new = _run(left, now, ledger, arguments.jobs)
        if new is None:
            return 2
        results += new
    return _report(results, listed, whole=not arguments.files and arguments.sample is None)


def _missing() -> Sequence[str]:
    """The tests that are named above and do not exist: renamed ones would run without being
    wanted, or not run at all."""
    functions = [name.split("::") for name in SLOW]
    return [
        *(file for file in sorted({*TESTS, *OTHER_CODE}) if not Path(file).exists()),
        *(
            f"{file}::{function}"
            for file, function in functions
            if not Path(file).exists() or f"def {function}(" not in Path(file).read_text()
        ),
    ]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("files", nargs="*", help="source files; without any, all")
    parser.add_argument("--sample", type=int, metavar="N", help="so many of them")
    parser.add_argument("--seed", help="which ones; by default it depends on the sources only")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    return parser.parse_args()


def sample(mutants: Iterable[Mutant], size: int, seed: str) -> list[Mutant]:
    """A change of the sources changes little in a sample with the same seed."""
    return sorted(mutants, key=lambda mutant: _hash(f"{seed} {mutant.key}".encode()))[:size]


def _run(mutants: Sequence[Mutant], now: str, ledger: Ledger, jobs: int) -> Sequence[Result] | None:
    results: list[Result] = []
    began = time.monotonic()
    out = os.fdopen(os.dup(1), "w", buffering=1)
    file = STATE / "recording.json"

    def choose(recording: Recording) -> Sequence[tuple[Mutant, Choice]]:
        _write(recording, file, now)
        covering = Covering(recording, MOST_SECONDS)
        out.write(f"{len(mutants)} mutants to run, after {time.monotonic() - began:.0f} s\n")
        return [(mutant, covering.choose(mutant)) for mutant in mutants]

    def done(result: Result) -> None:
        ledger.enter(result)
        results.append(result)
        if len(results) % 100 == 0:
            survived = sum(each.by is None for each in results)
            seconds = time.monotonic() - began
            out.write(f"{len(results)} run, {survived} survived, after {seconds:.0f} s\n")

    sys.dont_write_bytecode = False  # modules are imported again and again
    runner = Runner(_read(file, now), choose, done, jobs)
    settings.register_profile(
        "mutants",
        derandomize=True,
        database=None,
        deadline=None,
        max_examples=25,
        phases=[Phase.explicit, Phase.generate],
    )
    slow = [f"--deselect={test}" for test in SLOW]
    marks = ("-m", "not (e2e or simulation or timing or slow)")
    files = [test for test in TESTS if test not in OTHER_CODE]
    status = pytest.main([*OPTIONS, *marks, *slow, *files], plugins=[runner])
    if runner.failed or status != pytest.ExitCode.OK:
        out.write("\n".join(["tests fail without any mutant:", *runner.failed, str(status), ""]))
        return None
    return results


def _report(results: Sequence[Result], listed: Mapping[str, str], *, whole: bool) -> int:
    """Print a table and the survivors. Returns the exit code."""
    rows: dict[str, list[int]] = {}
    for result in results:
        row = rows.setdefault("/".join(result.mutant.file.split("/")[:2]), [0, 0, 0])
        row[0] += 1
        row[1] += result.by is not None
        row[2] += result.by is None and result.mutant.key in listed
    rows["all"] = [sum(column) for column in zip(*rows.values(), strict=True)]
    print(f"{'':18}{'mutants':>8}{'killed':>8}{'listed':>8}{'open':>6}{'killed':>9}")
    for name, (total, killed, known) in sorted(rows.items(), key=lambda row: row[0] == "all"):
        share = f"{100 * killed / total:.1f} %"
        print(f"{name:18}{total:8}{killed:8}{known:8}{total - killed - known:6}{share:>9}")
    survivors = {result.mutant.key for result in results if result.by is None}
    for key in sorted(survivors - listed.keys()):
        print(f"survived: {key}")
    total, killed, known = rows["all"]
    wrong = killed < LEAST_KILLED * (total - known)
    if wrong:
        print(f"fewer than {LEAST_KILLED:.0%} of the mutants were killed: test what survived")
    if whole:
        for key in sorted(listed.keys() - survivors):
            print(f"does not survive any more, remove it from {SURVIVORS}: {key}")
            wrong = True
    return int(wrong)


def _listed() -> Mapping[str, str]:
    """The mutants that are known to survive, with the reason of each."""
    groups = tomllib.loads(SURVIVORS.read_text()).get("group", [])
    return {mutant: group["why"] for group in groups for mutant in group["mutants"]}


def _write(recording: Recording, file: Path, now: str) -> None:
    names = list(recording.seconds)
    number = {"": -1, **{name: index for index, name in enumerate(names)}}
    lines = {
        source: {line: [number[test] for test in tests] for line, tests in of_file.items()}
        for source, of_file in recording.lines.items()
    }
    file.write_text(json.dumps({"now": now, "seconds": recording.seconds, "lines": lines}))


def _read(file: Path, now: str) -> Recording | None:
    """The recording of a run with the same sources and tests."""
    document = json.loads(file.read_text()) if file.exists() else {}
    if document.get("now") != now:
        return None
    names = [*document["seconds"], ""]
    lines = {
        source: {
            int(line): frozenset(names[number] for number in tests)
            for line, tests in of_file.items()
        }
        for source, of_file in document["lines"].items()
    }
    return Recording(lines, document["seconds"])


def _digest(files: Iterable[str]) -> str:
    return _hash(b"".join(_hash(Path(file).read_bytes()).encode() for file in files))


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]


if __name__ == "__main__":
    sys.exit(main())
