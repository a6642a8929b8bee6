"""How much faster synth is when the bindings are loaded on demand."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benches.row import Row
from constructs_lib.fast_bindings import SWITCH

MAIN = Path(__file__).resolve().parent.parent / "main.py"


def seconds_to_synth(*, eager: bool) -> float:
    """One synth of the shipped config in a process of its own."""
    with tempfile.TemporaryDirectory() as outdir:
        return _seconds(str(MAIN), CDKTF_OUTDIR=outdir, **{SWITCH: "1" if eager else "0"})


def seconds_to_load_cdktf() -> float:
    """The start of every synth: loading the library and starting its Node.js process."""
    return _seconds("-c", "import cdktf; cdktf.App()")


def _seconds(*arguments: str, **more: str) -> float:
    began = time.perf_counter()
    environment = {**os.environ, **more}
    command = [sys.executable, *arguments]
    subprocess.run(command, env=environment, check=True, capture_output=True)
    return time.perf_counter() - began


def rows() -> Iterator[Row]:
    seconds_to_synth(eager=False)
    quick = statistics.median(seconds_to_synth(eager=False) for _ in range(3))
    eager = seconds_to_synth(eager=True)
    load = statistics.median(seconds_to_load_cdktf() for _ in range(3))
    yield Row("synth, warm", f"{quick:.1f} s, {quick / load:.1f} x loading cdktf", "< 4")
    yield Row("synth, eagerly", f"{eager / quick:.0f} x as long", "why it is not done")
