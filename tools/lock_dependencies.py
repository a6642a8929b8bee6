"""Write new Pipfile.lock, audit/requirements.txt and package-lock.json: `make lock-deps`.

Pipenv and uv resolve in a temporary folder, on the oldest supported Python, without this machine's
extra package sources. Then registry addresses are removed from the locks, and a dry run checks that
they install on every supported Python and platform.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tools.bootstrap import npm, requirement_lines

ROOT = Path(__file__).resolve().parent.parent
OLDEST_PYTHON = "3.11"
PYTHONS = ("3.11", "3.12", "3.13")
PLATFORMS = (
    "x86_64-manylinux_2_28",
    "aarch64-manylinux_2_28",
    "x86_64-apple-darwin",
    "aarch64-apple-darwin",
)
AUDIT = ROOT / "audit" / "requirements.in"
CATEGORIES = {"default": "packages", "develop": "dev-packages", "layer": "layer"}

Lock = dict[str, Any]


def main() -> int:
    """Resolve, strip and check. Replace the locks only if all of that works."""
    with tempfile.TemporaryDirectory(prefix="lock-deps-") as folder:
        lock = strip_addresses(resolve(Path(folder)))
        audit_lock = resolve_audit(Path(folder))
        node_lock = resolve_node(Path(folder))
    complaints = [
        *flaws(lock),
        *uninstallable(python_requirements(lock)),
        *uninstallable(audit_lock),
        *node_flaws(node_lock),
    ]
    for complaint in complaints:
        print(f"lock-deps: {complaint}", file=sys.stderr)
    if complaints:
        return 1
    (ROOT / "Pipfile.lock").write_text(json.dumps(lock, indent=4, sort_keys=True) + "\n")
    AUDIT.with_suffix(".txt").write_text(audit_lock)
    (ROOT / "package-lock.json").write_text(
        json.dumps(node_lock, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    counts = [f"{len(lock[category])} {category}" for category in CATEGORIES]
    print(f"lock-deps: {', '.join(counts)}, {len(node_lock['packages'])} node packages locked")
    return 0


def resolve(folder: Path) -> Lock:
    """Run `pipenv lock` in `folder` and return what it wrote."""
    python = shutil.which(f"python{OLDEST_PYTHON}")
    if python is None:
        sys.exit(f"lock-deps: python{OLDEST_PYTHON} is missing; the lock is resolved on it")
    shutil.copy(ROOT / "Pipfile", folder)
    environment = {
        **without_extra_sources(),
        "PIP_CONFIG_FILE": os.devnull,
        "PIPENV_VENV_IN_PROJECT": "1",
    }
    subprocess.run(
        [
            *(sys.executable, "-m", "pipenv", "lock", "--python", python),
            f"--categories={' '.join(CATEGORIES.values())}",
        ],
        cwd=folder,
        env=environment,
        check=True,
    )
    lock: Lock = json.loads((folder / "Pipfile.lock").read_text())
    return lock


def resolve_audit(folder: Path) -> str:
    """Lock audit/requirements.in for every platform with uv; returns the requirements."""
    target = folder / "audit.txt"
    subprocess.run(
        [
            *(
                sys.executable,
                "-m",
                "uv",
                "pip",
                "compile",
                "--quiet",
                "--no-config",
                "--universal",
            ),
            *("--generate-hashes", "--python-version", OLDEST_PYTHON, "--no-header"),
            *("--no-annotate", "--output-file", target, AUDIT),
        ],
        env=without_extra_sources(),
        check=True,
    )
    return target.read_text()


def without_extra_sources() -> dict[str, str]:
    """The environment without the variables that add package sources to the index."""
    extra = {"PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_INDEX", "VIRTUAL_ENV"}
    return {name: value for name, value in os.environ.items() if name not in extra}


def strip_addresses(lock: Lock) -> Lock:
    """Remove the addresses of the packages: the user's settings choose the index."""
    lock["_meta"]["sources"] = []
    for category in CATEGORIES:
        for package in lock[category].values():
            package.pop("index", None)
    return lock


def flaws(lock: Lock) -> list[str]:
    """Packages without hashes, from a local path, or locked at two versions."""
    found = []
    versions: dict[str, set[str]] = {}
    for category in CATEGORIES:
        for name, package in lock[category].items():
            if not package.get("hashes"):
                found.append(f"{category}: {name} has no hashes")
            if extra := package.keys() - {"extras", "hashes", "markers", "version"}:
                found.append(f"{category}: {name} has {', '.join(sorted(extra))}")
            versions.setdefault(name, set()).add(package.get("version", "none"))
    return found + [
        f"{name} is locked at {' and '.join(sorted(locked))}"
        for name, locked in versions.items()
        if len(locked) > 1
    ]


def python_requirements(lock: Lock) -> str:
    """All categories in pip's requirements format."""
    everything = {**lock["default"], **lock["develop"], **lock["layer"]}
    return "\n".join(requirement_lines(everything))


def uninstallable(requirements: str) -> list[str]:
    """Pythons and platforms on which the requirements do not install: a package, a wheel or a hash
    is missing, or the index says that a version was yanked."""
    found = []
    for python, platform in itertools.product(PYTHONS, PLATFORMS):
        with tempfile.TemporaryDirectory(prefix="lock-deps-") as nothing:
            tried = subprocess.run(
                [
                    *(sys.executable, "-m", "uv", "pip", "install", "--dry-run", "--no-config"),
                    *("--require-hashes", "--only-binary", ":all:", "--target", nothing),
                    *("--python-version", python, "--python-platform", platform, "-r", "-"),
                ],
                input=requirements,
                text=True,
                capture_output=True,
                check=False,
            )
        if tried.returncode or "is yanked" in tried.stderr:
            found.append(f"Python {python} on {platform}: {tried.stderr.strip()}")
    return found


def resolve_node(folder: Path) -> Lock:
    """Lock package.json with npm in `folder`, and remove the funding addresses."""
    for file in ("package.json", ".npmrc"):
        shutil.copy(ROOT / file, folder)
    npm("install", "--package-lock-only", "--ignore-scripts", folder=folder)
    lock: Lock = json.loads((folder / "package-lock.json").read_text(encoding="utf-8"))
    for package in lock["packages"].values():
        package.pop("funding", None)
    return lock


def node_flaws(lock: Lock) -> list[str]:
    """Node packages without a hash, or with the address of a registry."""
    locked = {name: package for name, package in lock["packages"].items() if name}
    return [
        f"{name} has no hash"
        for name, package in locked.items()
        if "integrity" not in package and not package.get("inBundle")
    ] + [f"{name} names its registry" for name, package in locked.items() if "resolved" in package]


if __name__ == "__main__":
    sys.exit(main())
