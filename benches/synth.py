"""What a synth costs, in CPU seconds of all its processes, and how much it saves that the bindings
are loaded on demand."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benches.row import Row
from constructs_lib.fast_bindings import SWITCH

MAIN = Path(__file__).resolve().parent.parent / "main.py"
MOST = 2.0
"""The most that a warm synth may cost, in loads of cdktf."""


def seconds_to_synth(*, eager: bool) -> float:
    """One synth of the shipped config in a process of its own."""
    with tempfile.TemporaryDirectory() as outdir:
        return _seconds("-O", str(MAIN), CDKTF_OUTDIR=outdir, **{SWITCH: "1" if eager else "0"})


def seconds_to_load_cdktf() -> float:
    """The start of every synth: loading the library and starting its Node.js process."""
    return _seconds("-c", "import cdktf; cdktf.App()")


def _seconds(*arguments: str, **more: str) -> float:
    before = _of_children()
    environment = {**os.environ, **more}
    command = [sys.executable, *arguments]
    subprocess.run(command, env=environment, check=True, capture_output=True)
    return _of_children() - before


def _of_children() -> float:
    """CPU seconds of all processes that ended: other work on the machine adds little to them."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def rows() -> Iterator[Row]:
    seconds_to_synth(eager=False)
    pairs = [(seconds_to_synth(eager=False), seconds_to_load_cdktf()) for _ in range(6)]
    quick, load = (statistics.median(seconds) for seconds in zip(*pairs, strict=True))
    eager = seconds_to_synth(eager=True)
    ratio = quick / load
    figure = f"{quick:.1f} CPU s, {ratio:.1f} x loading cdktf"
    yield Row("synth, warm", figure, f"<= {MOST}", ratio <= MOST)
    yield Row("synth, eagerly", f"{eager / quick:.0f} x as long", "why it is not done")
