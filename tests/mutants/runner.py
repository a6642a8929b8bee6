"""A plugin of pytest that runs the tests once, and then for each mutant those that cover it.

Each mutant lives in a process of its own, forked out of this one, in which everything is imported
and collected. There the functions of the changed file get their changed code; only if the change
acts during imports, the modules are imported again.
"""

from __future__ import annotations

import gc
import importlib.util
import os
import pickle
import signal
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from itertools import groupby
from pathlib import Path
from types import CodeType, FunctionType, ModuleType

import coverage
import pytest

from tests.mutants.changes import Mutant
from tests.mutants.covering import Choice, Recording

OURS = ("client", "functions", "jumpstart", "lambdas", "local", "tests", "tools")
# What makes failures easy to read takes most of the time of an import.
OPTIONS = ("-q", "--hypothesis-profile=mutants", "--assert=plain", "-pno:unraisableexception")
MORE_SECONDS, TIMES = 2.0, 3.0
"""A test that takes so much more processor time, and so many times as much, as it took without a
mutant is in an endless loop."""
LONGEST_SECONDS = 60.0
"""A test that takes longer waits for something that does not come."""
TIME_LIMIT, ERROR = "time limit", "error"
ROOT = Path.cwd()


@dataclass(frozen=True)
class Result:
    """What became of a mutant: the test that failed on it, TIME_LIMIT or ERROR. None: it
    survived."""

    mutant: Mutant
    by: str | None


@dataclass(eq=False)  # pytest hashes plugins
class Runner:
    """The plugin. Without a `recording` of these tests it makes one. `choose` says what to do then,
    and `done` is told each result."""

    recording: Recording | None
    choose: Callable[[Recording], Sequence[tuple[Mutant, Choice]]]
    done: Callable[[Result], None]
    jobs: int
    failed: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._coverage = coverage.Coverage(
            data_file=None, source=["lambdas", "tests"], config_file=False, messages=False
        )
        if self.recording is None:
            self._coverage.start()  # now, since the next step imports the modules

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.append(f"{report.nodeid}: {report.longreprtext}")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if session.testsfailed:  # some could not be imported
            return True
        recording = self.recording or self._record(session.items)
        if self.failed:
            return True
        todo = self.choose(recording)
        items = {item.nodeid: item for item in session.items}
        functions = _functions()
        gc.collect()
        gc.freeze()  # after it, `gc` shows no objects
        running: dict[int, tuple[Mutant, int]] = {}
        for mutant, choice in todo:
            if not choice.tests:
                self.done(Result(mutant, None))
                continue
            if len(running) >= self.jobs:
                self.done(_ended(running))
            of_functions = [] if choice.fresh else functions[mutant.file]
            pid, pipe = _forked(mutant, choice.tests, recording.seconds, of_functions, items)
            running[pid] = mutant, pipe
        while running:
            self.done(_ended(running))
        return True

    def _record(self, items: Sequence[pytest.Item]) -> Recording:
        """Run all tests, in forked processes too: this one stays as it is after the imports."""
        shares: list[list[pytest.Item]] = [[] for _ in range(self.jobs)]
        for _, of_file in groupby(items, key=lambda item: item.path):
            # A part of each file for each: some files have only slow tests.
            ordered = list(of_file)
            size = -(-len(ordered) // self.jobs)
            for begin in range(0, len(ordered), size):
                min(shares, key=len).extend(ordered[begin : begin + size])
        with tempfile.TemporaryDirectory() as folder:
            files = [Path(folder, str(number)) for number in range(self.jobs)]
            children = []
            for share, file in zip(shares, files, strict=True):
                pid = os.fork()
                if pid == 0:
                    try:
                        _be_quiet()
                        file.write_bytes(pickle.dumps(self._recorded(share)))
                    finally:
                        os._exit(0)
                children.append(pid)
            for pid in children:
                os.waitpid(pid, 0)
            parts = [pickle.loads(file.read_bytes()) for file in files]  # noqa: S301 (our own)
        self._coverage.stop()
        lines: dict[str, dict[int, frozenset[str]]] = defaultdict(dict)
        seconds: dict[str, float] = {}
        for part, failed in parts:
            self.failed += failed
            seconds |= part.seconds
            for name, of_file in part.lines.items():
                for line, tests in of_file.items():
                    lines[name][line] = lines[name].get(line, frozenset()) | tests
        return Recording(lines, seconds)

    def _recorded(self, items: Sequence[pytest.Item]) -> tuple[Recording, Sequence[str]]:
        """Run these tests. Returns what failed, too."""
        seconds = {}
        for item, after in zip(items, [*items[1:], None], strict=True):
            self._coverage.switch_context(item.nodeid)
            begin = time.process_time()
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
            seconds[item.nodeid] = round(time.process_time() - begin, 3)
        self._coverage.stop()
        data = self._coverage.get_data()
        lines = {
            str(Path(file).relative_to(ROOT)): {
                line: frozenset(tests) for line, tests in data.contexts_by_lineno(file).items()
            }
            for file in data.measured_files()
        }
        return Recording(lines, seconds), self.failed


def _forked(
    mutant: Mutant,
    tests: Sequence[str],
    seconds: Mapping[str, float],
    functions: Sequence[FunctionType],
    items: Mapping[str, pytest.Item],
) -> tuple[int, int]:
    """The id of the process that runs the tests on the mutant, and the pipe with its answer.
    Without `functions` that can get their changed code it imports everything again."""
    read, write = os.pipe()
    pid = os.fork()
    if pid:
        os.close(write)
        return pid, read
    try:
        _be_quiet()
        gc.disable()  # it does not live long
        witness = _Witness(write, seconds)
        if functions and _put_in(mutant, functions):
            _run([items[test] for test in tests], witness)
        else:
            _run_fresh(mutant, tests, witness)
        os._exit(0)
    finally:  # nothing of this process may go on as if it were the first one
        os._exit(3)


class _Witness:
    """In the process of a mutant: ends it with the first test that fails."""

    def __init__(self, pipe: int, seconds: Mapping[str, float]) -> None:
        self._pipe = pipe
        self._seconds = seconds

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logstart(self, nodeid: str) -> None:
        usual = self._seconds.get(nodeid, 0.0)
        signal.setitimer(signal.ITIMER_VIRTUAL, MORE_SECONDS + TIMES * usual)
        signal.setitimer(signal.ITIMER_REAL, LONGEST_SECONDS)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.say(report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.say(f"{report.nodeid} (import)")

    def say(self, test: str) -> None:
        os.write(self._pipe, test.encode())
        os._exit(1)


def _be_quiet() -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (1, 2):
        os.dup2(nowhere, stream)


def _ended(running: dict[int, tuple[Mutant, int]]) -> Result:
    pid, status = os.wait()
    mutant, pipe = running.pop(pid)
    with os.fdopen(pipe, "rb") as sent:
        test = sent.read().decode()
    if os.WIFSIGNALED(status):
        return Result(mutant, TIME_LIMIT)
    return Result(mutant, None if status == 0 else test or ERROR)


def _run(items: Sequence[pytest.Item], witness: _Witness) -> None:
    config = items[0].config
    config.pluginmanager.register(witness)
    for item, after in zip(items, [*items[1:], None], strict=True):
        config.hook.pytest_runtest_protocol(item=item, nextitem=after)


def _functions() -> Mapping[str, Sequence[FunctionType]]:
    """The functions of each file that exist now."""
    found = defaultdict(list)
    for each in gc.get_objects():
        if isinstance(each, FunctionType):
            file = each.__code__.co_filename
            if file.startswith(f"{ROOT}/lambdas/"):
                found[file.removeprefix(f"{ROOT}/")].append(each)
    return found


def _put_in(mutant: Mutant, functions: Sequence[FunctionType]) -> bool:
    """Give the functions of the file their changed code. False if that is not possible."""
    codes = defaultdict(list)
    for code in _codes(compile(mutant.text(), str(ROOT / mutant.file), "exec")):
        codes[code.co_qualname].append(code)
    changed = [(function, codes[function.__code__.co_qualname]) for function in functions]
    if any(len(found) != 1 for _, found in changed):
        return False
    if all(function.__code__ == code for function, (code,) in changed):
        return False
    for function, (code,) in changed:
        if code.co_freevars != function.__code__.co_freevars:
            return False
        function.__code__ = code
    return True


def _codes(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _codes(constant)


def _run_fresh(mutant: Mutant, tests: Sequence[str], witness: _Witness) -> None:
    for name in [name for name in sys.modules if _is_ours(name)]:
        if name != "tests" and not name.startswith("tests.mutants"):
            del sys.modules[name]
    sys.meta_path.insert(0, _Finder(mutant))
    status = pytest.main([*OPTIONS, *tests], plugins=[witness])
    if status != pytest.ExitCode.OK:
        witness.say(f"pytest: {status}")


def _is_ours(module: str | None) -> bool:
    return module is not None and module.partition(".")[0] in OURS


class _Finder(MetaPathFinder):
    """Imports the changed file in place of the real one."""

    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self._mutant.module:
            return None
        loader = _Loader(self._mutant)
        return importlib.util.spec_from_file_location(fullname, loader.path, loader=loader)


class _Loader(SourceFileLoader):
    def __init__(self, mutant: Mutant) -> None:
        super().__init__(mutant.module, str(ROOT / mutant.file))
        self._mutant = mutant

    def get_code(self, fullname: str) -> CodeType:
        return compile(self._mutant.text(), self.path, "exec")
