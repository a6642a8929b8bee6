"""How long the imports of a cold start take: each function compared with `import boto3`."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

from benches.row import Row

FUNCTIONS = ("authorizer", "tick", "reconciler", "sweep", "adopter", "api")
_RUNS = 5


def seconds_to_import(module: str) -> float:
    """The median over some fresh interpreters, without the start of the interpreter itself."""

    def run(statement: str) -> float:
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", statement], check=True)
        return time.perf_counter() - began

    return statistics.median(run(f"import {module}") - run("pass") for _ in range(_RUNS))


def rows() -> Iterator[Row]:
    bare = seconds_to_import("boto3")
    for function in FUNCTIONS:
        ratio = seconds_to_import(f"lambdas.handlers.{function}") / bare
        yield Row(f"cold import: {function}", f"{ratio:.1f} x import boto3", "< 4")
