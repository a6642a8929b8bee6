# ruff: noqa: T201  # a program that talks to a terminal
"""`make simulate`: run many lives, one seed each, and print the results.

python -m tests.simulation                      new seeds, until 10,000 endpoint-days are done
python -m tests.simulation --seed 17            only seed 17, to repeat a failure
python -m tests.simulation --seeds 10           ten new seeds
"""

from __future__ import annotations

import argparse
import gc
import os
import random
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import count, cycle, islice
from multiprocessing import SimpleQueue

from tests.simulation.life import DAYS, ENDPOINTS, Figures, live

WANTED_DAYS = 10_000
_SHOWN = 5


def main() -> int:
    """The exit status: 0 if no invariant was violated."""
    given = _arguments()
    base = given.base if given.base is not None else random.SystemRandom().randrange(10**9)
    seeds = iter(given.seed) if given.seed else count(base)
    if not given.seed:
        print(f"seeds from {base} on; the same again: --base {base}", flush=True)
    began = time.perf_counter()
    total = Figures(seed=0)
    for figures in _lived(seeds, given):
        _add(total, figures)
        _report(figures, given)
    seconds = time.perf_counter() - began
    _print_total(total, seconds)
    return 1 if total.violations else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, action="append", help="this seed; may be repeated")
    parser.add_argument("--seeds", type=int, help="how many; default: enough for --endpoint-days")
    parser.add_argument("--base", type=int, help="the first seed; default: a fresh one")
    parser.add_argument("--endpoint-days", type=float, default=WANTED_DAYS)
    parser.add_argument("--days", type=float, default=DAYS, help="how long each life is")
    parser.add_argument("--endpoints", type=int, default=ENDPOINTS, help="how many each has")
    parser.add_argument(
        "--longest-chain",
        type=int,
        help="Lambda ends chains of the reconciler after so many invocations (16); default: never",
    )
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    return parser.parse_args()


def _lived(seeds: Iterator[int], given: argparse.Namespace) -> Iterator[Figures]:
    """The figures of each life, in the order in which they end."""
    days = 0.0
    left = given.seeds or (len(given.seed) if given.seed else None)
    cpus: SimpleQueue[int] = SimpleQueue()
    for cpu in islice(cycle(_cpus()), given.processes):
        cpus.put(cpu)
    with ProcessPoolExecutor(given.processes, initializer=_settle, initargs=(cpus,)) as pool:
        running: list[Future[Figures]] = []
        while True:
            while len(running) < 2 * given.processes and _more(left, days, given):
                running.append(pool.submit(_live, next(seeds), given))
                left = None if left is None else left - 1
                days += (
                    given.days * given.endpoints * 0.86
                )  # some are not declared for the whole time
            if not running:
                return
            figures = running.pop(0).result()
            yield figures


def _cpus() -> Sequence[int]:
    """The CPUs of this process, on systems that can say (Linux)."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]


def _settle(cpus: SimpleQueue[int]) -> None:
    """Keep this process on one CPU. Only one of its threads runs at a time, and the change from one
    to the next is four times as fast on one CPU."""
    cpu = cpus.get()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {cpu})


def _more(left: int | None, days: float, given: argparse.Namespace) -> bool:
    return days < given.endpoint_days if left is None else left > 0


def _live(seed: int, given: argparse.Namespace) -> Figures:
    gc.disable()  # lives are short: collect between them
    figures = live(seed, given.days, given.endpoints, given.longest_chain)
    gc.collect()
    return figures


def _add(total: Figures, figures: Figures) -> None:
    total.endpoint_days += figures.endpoint_days
    total.renewals += figures.renewals
    total.steps += figures.steps
    total.faults += figures.faults
    total.violations += figures.violations
    total.lives += 1


def _report(figures: Figures, given: argparse.Namespace) -> None:
    if not figures.violations:
        return
    print(f"\nseed {figures.seed} ({figures.profile}): {len(figures.violations)} violations")
    for violation in figures.violations[:_SHOWN]:
        print(f"  {violation}")
    print("  what led to the first:")
    for line in figures.story:
        print(f"  {line}")
    print(f"  again: {replay(figures.seed, given)}", flush=True)


def replay(seed: int, given: argparse.Namespace) -> str:
    """The command that repeats a seed."""
    usual = {"days": DAYS, "endpoints": ENDPOINTS, "longest_chain": None}
    options = [
        f"--{name.replace('_', '-')} {value}"
        for name, value in vars(given).items()
        if name in usual and value != usual[name]
    ]
    return f"make simulate SEED={seed}" + (f' ARGS="{" ".join(options)}"' if options else "")


def _print_total(total: Figures, seconds: float) -> None:
    rows: list[tuple[str, str]] = [
        ("endpoint-days", f"{total.endpoint_days:,.0f}"),
        ("lives, one seed each", f"{total.lives:,}"),
        ("renewals accepted", f"{total.renewals:,}"),
        ("steps (calls to AWS)", f"{total.steps:,}"),
        ("faults injected", f"{sum(total.faults.values()):,}"),
        *((f"  {kind}", f"{number:,}") for kind, number in sorted(total.faults.items())),
        ("violations", f"{len(total.violations):,}"),
        ("seconds", f"{seconds:,.0f}"),
    ]
    for what, figure in rows:
        print(f"{what:<36} {figure:>12}")


if __name__ == "__main__":
    sys.exit(main())
