from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
from importlib import metadata
from pathlib import Path
from typing import Any

from tools import lock_dependencies
from tools.bootstrap import requirement_lines

ROOT = Path(__file__).resolve().parents[2]
CATEGORIES = lock_dependencies.CATEGORIES


def pipfile_lock() -> dict[str, Any]:
    lock: dict[str, Any] = json.loads((ROOT / "Pipfile.lock").read_text())
    return lock


def test_the_python_lock_names_no_registry_and_has_every_hash() -> None:
    lock = pipfile_lock()

    assert lock["_meta"]["sources"] == []
    assert lock_dependencies.flaws(lock) == []


def test_the_python_lock_was_made_from_this_pipfile() -> None:
    # The verdict of pipenv depends on extra indexes in pip's configuration, so it must see none.
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PIP_")},
        "PIP_CONFIG_FILE": os.devnull,
        "PIPENV_IGNORE_VIRTUALENVS": "1",
    }

    verified = subprocess.run(
        [sys.executable, "-m", "pipenv", "verify"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert verified.returncode == 0, verified.stderr


def test_the_node_lock_names_no_registry_and_has_every_hash() -> None:
    text = (ROOT / "package-lock.json").read_text()

    assert "://" not in text
    assert lock_dependencies.node_flaws(json.loads(text)) == []


def test_the_lock_of_the_audit_names_no_registry_and_has_every_hash() -> None:
    text = lock_dependencies.AUDIT.with_suffix(".txt").read_text()

    assert "://" not in text
    packages = re.findall(r"^\w.*", text, re.MULTILINE)
    assert len(packages) > 90
    assert [line for line in packages if not re.fullmatch(r"\S+==\S+( ; .+)? \\", line)] == []


def test_each_python_package_is_pinned_to_one_version_by_sha256() -> None:
    lock = pipfile_lock()
    packages = [package for category in CATEGORIES for package in lock[category].values()]
    audited = lock_dependencies.AUDIT.with_suffix(".txt").read_text()

    assert {
        p["version"] for p in packages if not re.fullmatch(r"==[\w.+!-]+", p["version"])
    } == set()
    digests = [digest for package in packages for digest in package["hashes"]]
    digests += re.findall(r"--hash=(\S+)", audited)
    assert [each for each in digests if not re.fullmatch("sha256:[0-9a-f]{64}", each)] == []


def test_installed_packages_are_the_locked_ones() -> None:
    lock = pipfile_lock()
    locked = {**lock["default"], **lock["develop"]}
    installed = {
        re.sub(r"[-_.]+", "-", found.name).lower(): f"=={found.version}"
        for found in metadata.distributions(path=[sysconfig.get_path("purelib")])
    }

    assert installed.keys() - locked.keys() <= {
        "pip",
        "setuptools",
    }  # every new environment has them
    assert {
        name: (version, locked[name]["version"])
        for name, version in installed.items()
        if name in locked and version != locked[name]["version"]
    } == {}


def test_the_layer_holds_exactly_these_packages() -> None:
    assert set(pipfile_lock()["layer"]) == {
        "annotated-types",
        "aws-lambda-powertools",
        "cffi",
        "cryptography",
        "jmespath",
        "pycparser",
        "pydantic",
        "pydantic-core",
        "pyjwt",
        "typing-extensions",
        "typing-inspection",
        "tzdata",
    }


def test_local_paths_missing_hashes_and_two_versions_are_flaws() -> None:
    good = {"version": "==1", "hashes": ["sha256:aa"]}
    lock = {
        "default": {"left": good, "right": {"path": "file:///here", "hashes": []}},
        "develop": {"left": good | {"version": "==2"}},
        "layer": {},
    }

    assert lock_dependencies.flaws(lock) == [
        "default: right has no hashes",
        "default: right has path",
        "left is locked at ==1 and ==2",
    ]


def test_requirements_carry_extras_markers_and_hashes() -> None:
    package = {
        "extras": ["s3", "sqs"],
        "hashes": ["sha256:aa", "sha256:bb"],
        "markers": "python_version >= '3.9'",
        "version": "==1.2",
    }

    assert requirement_lines({"stubs": package}) == [
        "stubs[s3,sqs]==1.2 ; python_version >= '3.9' --hash=sha256:aa --hash=sha256:bb"
    ]
