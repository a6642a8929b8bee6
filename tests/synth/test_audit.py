"""checkov on the plan of all examples together: each accepted finding has a written reason."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.contract.emulator_process import Emulator
from tests.synth.conftest import Synthesize
from tests.synth.synthesis import COMBINED
from tests.synth.terraform import Terraform, without_backend
from tools import bootstrap

RULES = bootstrap.ROOT / "audit" / "checkov.yaml"
REQUIREMENTS = bootstrap.ROOT / "audit" / "requirements.txt"
REASON = re.compile(r"  - (CKV\w*_AWS_\d+)  # [\w/].{4,}")


@pytest.fixture(scope="module")
def checkov() -> Path:
    """The locked checkov, in its own environment."""
    environment = bootstrap.ROOT / ".cache" / "checkov"
    python = environment / "bin" / "python"
    settings = {**os.environ, **bootstrap.index_settings(Path(sys.executable))}
    uv = (sys.executable, "-m", "uv")
    if not python.exists():
        anew = ("--quiet", "--clear", "--python", sys.executable, environment)
        subprocess.run([*uv, "venv", *anew], env=settings, check=True)
    wanted = ("--require-hashes", "--only-binary", ":all:", "--python", python, REQUIREMENTS)
    subprocess.run([*uv, "pip", "sync", "--quiet", *wanted], env=settings, check=True)
    return environment / "bin" / "checkov"


@pytest.fixture
def plan(terraform: Terraform, emulator: Emulator, stack_of: Synthesize) -> Path:
    """The Terraform plan of all examples in one config, as JSON."""
    stack = stack_of(json.loads(COMBINED.read_text()))
    here = terraform.with_aws(emulator)
    here.take(without_backend(stack))
    (here.folder / "assets").symlink_to(stack.folder / "assets")
    here.run("init", "-input=false", "-no-color")
    here.run("plan", "-input=false", "-no-color", "-out=plan.bin")
    written = here.folder / "plan.json"
    written.write_text(here.run("show", "-json", "plan.bin"))
    return written


@pytest.mark.slow
def test_checkov_finds_only_what_has_a_written_reason(checkov: Path, plan: Path) -> None:
    done = subprocess.run(
        [checkov, "--file", plan, "--config-file", RULES, "--output", "json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr
    report = json.loads(done.stdout)
    assert report["summary"]["parsing_errors"] == 0
    assert report["summary"]["passed"] > 500
    failed = report["results"]["failed_checks"]
    reasoned = set(REASON.findall(RULES.read_text()))
    assert [one_line(each) for each in failed if each["check_id"] not in reasoned] == []
    assert done.returncode == 0
    assert reasoned - {each["check_id"] for each in failed} == set(), "no longer found: remove them"


def one_line(check: dict[str, Any]) -> str:
    return f"{check['check_id']} {check['resource']}: {check['check_name']}"


def test_each_accepted_finding_has_a_reason() -> None:
    listed = [line for line in RULES.read_text().splitlines() if line.startswith("  - CKV")]
    assert [line for line in listed if not REASON.fullmatch(line)] == []
