"""Zip files for Lambda whose bytes depend on their content alone.

Names are sorted, times and modes fixed, nothing is compressed (compressors differ between
machines), and what a checkout or an installer leaves behind stays out.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

PYTHON_VERSION = "3.13"
_EPOCH = (1980, 1, 1, 0, 0, 0)
_INSTALLER_FILES = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json"}
_UV_PLATFORMS = {"arm64": "aarch64-manylinux2014", "x86_64": "x86_64-manylinux2014"}
# Part of the cache key: raise it when this file makes other bytes from the same lock.
_RECIPE = 1
_KEPT_SECONDS = 86_400

Architecture = Literal["arm64", "x86_64"]


class BundleFailed(Exception):
    """The dependencies of the layer could not be installed; the message says why."""


@dataclass(frozen=True, slots=True)
class Archive:
    """A zip file and the two spellings of its hash that Terraform wants."""

    path: Path
    sha256: bytes

    @property
    def hex_hash(self) -> str:
        return self.sha256.hex()

    @property
    def base64_hash(self) -> str:
        return base64.b64encode(self.sha256).decode()


def bundle_code(project: Path, cache: Path) -> Archive:
    """The package `lambdas`, at the root of the zip."""
    with tempfile.TemporaryDirectory(dir=_made(cache)) as folder:
        target = Path(folder) / "code.zip"
        _write_zip(target, project, [project / "lambdas"], prefix="")
        archive = _archive(target)
        _drop_old(cache)
        return Archive(_kept(target, cache / f"code-{archive.hex_hash[:16]}.zip"), archive.sha256)


def bundle_layer(
    lock_file: Path, cache: Path, *, architecture: Architecture, for_host: bool
) -> Archive:
    """The locked category `layer`, under `python/`. Built once for each lock and platform.

    `for_host` builds for the interpreter that runs this, for an emulator that runs functions on
    it. Raises BundleFailed.
    """
    requirements = locked_requirements(lock_file)
    platform = (
        f"{sys.implementation.cache_tag}-{sysconfig.get_platform()}"
        if for_host
        else f"lambda-{PYTHON_VERSION}-{architecture}"
    )
    key = hashlib.sha256(f"{_RECIPE}\n{platform}\n{requirements}".encode()).hexdigest()
    kept = cache / f"layer-{platform}-{key[:16]}.zip"
    if not kept.exists():
        with tempfile.TemporaryDirectory(dir=_made(cache)) as folder:
            tree = Path(folder) / "tree"
            _install(requirements, tree, None if for_host else _UV_PLATFORMS[architecture])
            target = Path(folder) / "layer.zip"
            _write_zip(target, tree, [tree], prefix="python/")
            _kept(target, kept)
    return _archive(kept)


def locked_requirements(lock_file: Path, category: str = "layer") -> str:
    """The category of a Pipfile.lock as requirements with hashes, sorted."""
    locked = json.loads(lock_file.read_text(encoding="utf-8"))[category]
    lines = []
    for name, package in sorted(locked.items()):
        marker = f" ; {package['markers']}" if "markers" in package else ""
        hashes = "".join(f" --hash={digest}" for digest in sorted(package["hashes"]))
        lines.append(f"{name}{package['version']}{marker}{hashes}\n")
    return "".join(lines)


def _install(requirements: str, tree: Path, platform: str | None) -> None:
    # here, not above: a synth with a filled cache needs no installer
    from uv import find_uv_bin  # noqa: PLC0415

    wanted = tree.parent / "requirements.txt"
    wanted.write_text(requirements, encoding="utf-8")
    command = [find_uv_bin(), "pip", "install", "--quiet", "--no-deps", "--require-hashes"]
    command += ["--only-binary", ":all:", "--link-mode", "copy", "--target", str(tree)]
    command += ["--python", sys.executable, "--requirement", str(wanted)]
    if platform:
        command += ["--python-platform", platform, "--python-version", PYTHON_VERSION]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BundleFailed(
            f"The Lambda layer could not be built from Pipfile.lock:\n{done.stderr.strip()}"
        )


def _write_zip(target: Path, root: Path, folders: list[Path], *, prefix: str) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name, path in sorted(
            (path.relative_to(root).as_posix(), path)
            for folder in folders
            for path in _content(folder)
        ):
            entry = zipfile.ZipInfo(prefix + name, _EPOCH)
            entry.create_system = 3  # Unix, whatever this runs on: Lambda reads the mode
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, path.read_bytes())


def _content(folder: Path) -> Iterator[Path]:
    """The files below `folder` that belong into a zip."""
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if _belongs(name) and name != "bin"]
        for name in files:
            left_by_installer = parent.endswith(".dist-info") and name in _INSTALLER_FILES
            if _belongs(name) and not left_by_installer:
                yield Path(parent, name)


def _belongs(name: str) -> bool:
    return not (name.startswith(".") or name == "__pycache__" or name.endswith(".pyc"))


def _archive(path: Path) -> Archive:
    with path.open("rb") as file:
        return Archive(path, hashlib.file_digest(file, "sha256").digest())


def _kept(made: Path, kept: Path) -> Path:
    """Move `made` to `kept` in one step: a synth at the same time sees all of it or none."""
    if not kept.exists():
        made.chmod(0o644)
        shutil.move(made, kept)
    return kept


def _drop_old(cache: Path) -> None:
    """Every change of the code leaves an archive; those of yesterday serve nobody."""
    for old in cache.glob("code-*.zip"):
        with contextlib.suppress(FileNotFoundError):
            if old.stat().st_mtime < time.time() - _KEPT_SECONDS:
                old.unlink()


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
