"""Run all benchmarks, or only the named ones, and print one table."""

from __future__ import annotations

import argparse
import importlib
import sys

from benches.row import Row

BENCHES = ("idle_tick", "transitions", "cold_start", "synth", "simulation", "due_at_once")


def main() -> int:
    """Print each row as soon as it is measured. The exit status is 1 if a figure is not allowed."""
    parser = argparse.ArgumentParser(prog="python -m benches", description=__doc__)
    parser.add_argument("bench", nargs="*", choices=[*BENCHES, []], help="default: all")
    chosen = parser.parse_args().bench or BENCHES
    print(f"{'what':<42} {'figure':<54} should be")
    status = 0
    for name in chosen:
        row: Row
        for row in importlib.import_module(f"benches.{name}").rows():
            print(
                f"{row.what:<42} {row.figure:<54} {row.against}{'' if row.ok else '  <- wrong'}",
                flush=True,
            )
            status |= not row.ok
    return status


if __name__ == "__main__":
    sys.exit(main())
