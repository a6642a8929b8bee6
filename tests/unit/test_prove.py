"""`make test` and `make prove` together run every test."""

from __future__ import annotations

import re
from pathlib import Path

MAKEFILE = (Path(__file__).parents[2] / "Makefile").read_text()


def asked(target: str) -> set[str]:
    """The marks by which the target chooses tests."""
    _, _, below = MAKEFILE.partition(f"\n{target}: ")
    commands, _, _ = below.partition("\n.PHONY")
    return set(re.findall(r'pytest .*-m ("[^"]+"|\w+)', commands))


def test_what_one_leaves_out_the_other_runs() -> None:
    assert asked("test") == {
        '"not (e2e or simulation or timing or prove)"',
        '"simulation and not prove"',
        "timing",
        '"e2e and not prove"',
    }
    assert asked("prove") == {'"prove and not e2e"', '"prove and e2e"'}
