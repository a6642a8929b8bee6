from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.contract.emulator_process import Emulator, running_emulator
from tests.synth.synthesis import DEFAULT, Stack, synthesize
from tests.synth.terraform import Terraform
from tools import bootstrap

Synthesize = Callable[[Mapping[str, Any]], Stack]


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """The stack of the shipped config."""
    return synthesize(DEFAULT, tmp_path_factory.mktemp("default"))


@pytest.fixture(scope="session")
def stack_of(tmp_path_factory: pytest.TempPathFactory) -> Synthesize:
    """Synthesizes a config; equal configs are synthesized once."""
    made: dict[str, Stack] = {}

    def of(config: Mapping[str, Any]) -> Stack:
        text = json.dumps(config, sort_keys=True)
        if text not in made:
            folder = tmp_path_factory.mktemp("stack")
            (folder / "config.json").write_text(text)
            made[text] = synthesize(folder / "config.json", folder / "out")
        return made[text]

    return of


@pytest.fixture(scope="session")
def checkov() -> Path:
    """The locked checkov, in its own environment."""
    environment = bootstrap.ROOT / ".cache" / "checkov"
    python = environment / "bin" / "python"
    settings = {**os.environ, **bootstrap.index_settings(Path(sys.executable))}
    uv = (sys.executable, "-m", "uv")
    requirements = bootstrap.ROOT / "audit" / "requirements.txt"
    wanted = ("--require-hashes", "--only-binary", ":all:", "--python", python, requirements)
    with bootstrap.one_at_a_time():
        if not python.exists():
            anew = ("--quiet", "--clear", "--python", sys.executable, environment)
            subprocess.run([*uv, "venv", *anew], env=settings, check=True)
        subprocess.run([*uv, "pip", "sync", "--quiet", *wanted], env=settings, check=True)
    return environment / "bin" / "checkov"


@pytest.fixture
def terraform(tmp_path: Path) -> Terraform:
    return Terraform.at(tmp_path)


@pytest.fixture
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with running_emulator(tmp_path_factory.mktemp("emulator")) as running:
        yield running
