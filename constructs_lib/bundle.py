"""Reproducible zip files for Lambda: the bytes depend only on the content.

Names are sorted, times and modes are fixed, and nothing is compressed (compressors differ between
machines). Files that a checkout or an installer leaves behind are left out.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from constructs_lib.config.document import Architecture
from constructs_lib.text_file import NotText, utf_8

PYTHON_VERSION = "3.13"
_EPOCH = (1980, 1, 1, 0, 0, 0)
_INSTALLER_FILES = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json"}
# The glibc of Amazon Linux 2023, on which Lambda's Python 3.12 and later run.
_UV_PLATFORMS = {"arm64": "aarch64-manylinux_2_34", "x86_64": "x86_64-manylinux_2_34"}
# Part of the cache key. Raise it when this file makes different bytes from the same lock.
_RECIPE = 2
_KEPT_SECONDS = 86_400

Entries = Mapping[str, Callable[[], bytes]]
"""The files of a zip: a function that reads each file, by its name in the zip."""


class BundleFailed(Exception):
    """Dependencies could not be installed; the message says why."""


@dataclass(frozen=True, slots=True)
class Platform:
    """The platform that code runs on. `for_host` means the interpreter that runs this process; an
    emulator runs functions on it."""

    architecture: Architecture
    for_host: bool

    def __str__(self) -> str:
        if self.for_host:
            return f"{sys.implementation.cache_tag}-{sysconfig.get_platform()}"
        return f"lambda-{PYTHON_VERSION}-{self.architecture}"

    def options(self) -> list[str]:
        """The installer's options for this platform."""
        if self.for_host:
            return []
        platform = _UV_PLATFORMS[self.architecture]
        return ["--python-platform", platform, "--python-version", PYTHON_VERSION]


@dataclass(frozen=True, slots=True)
class Archive:
    """A zip file and its hash, in the two formats that Terraform needs."""

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
    return bundle_entries("code", shared_code(project), cache)


def shared_code(project: Path) -> Entries:
    """The package `lambdas`."""
    return tree_entries(project, files_below(project / "lambdas"))


def bundle_entries(kind: str, entries: Entries, cache: Path) -> Archive:
    """A zip of `entries`, cached under its hash. Archives older than a day are deleted."""
    with tempfile.TemporaryDirectory(dir=_existing(cache)) as folder:
        target = Path(folder) / "code.zip"
        _write_zip(target, entries)
        archive = _archive(target)
        _drop_old(cache, kind)
        return Archive(_kept(target, cache / f"{kind}-{archive.hex_hash[:16]}.zip"), archive.sha256)


def bundle_layer(
    lock_file: Path, cache: Path, *, architecture: Architecture, for_host: bool
) -> Archive:
    """The locked category `layer`, under `python/`. Built once for each lock and platform.

    Raises BundleFailed.
    """
    platform = Platform(architecture, for_host)
    try:
        return bundle_requirements(
            "layer", locked_requirements(lock_file), cache, platform, prefix="python/"
        )
    except BundleFailed as error:
        raise BundleFailed(
            f"The Lambda layer could not be built from Pipfile.lock:\n{error}"
        ) from error


def bundle_requirements(
    kind: str, requirements: str, cache: Path, platform: Platform, *, prefix: str = ""
) -> Archive:
    """The packages of `requirements`, installed for `platform`. Built once for each combination.

    If one package has a hash, all must have one, and only the named packages are installed. Without
    hashes their dependencies are installed too. Raises BundleFailed with the installer's message.
    """
    key = hashlib.sha256(f"{_RECIPE}\n{platform}\n{requirements}".encode()).hexdigest()
    kept = cache / f"{kind}-{platform}-{key[:16]}.zip"
    if not kept.exists():
        with tempfile.TemporaryDirectory(dir=_existing(cache)) as folder:
            tree = Path(folder) / "tree"
            _install(requirements, tree, platform.options())
            target = Path(folder) / "layer.zip"
            installed = tree_entries(tree, files_below(tree, without=("bin",)), prefix)
            _write_zip(target, installed)
            _kept(target, kept)
    return _archive(kept)


def locked_requirements(lock_file: Path, category: str = "layer") -> str:
    """A category of Pipfile.lock as sorted requirements with hashes. Raises BundleFailed."""
    lines = []
    try:
        for name, package in sorted(json.loads(utf_8(lock_file.read_bytes()))[category].items()):
            marker = f" ; {package['markers']}" if "markers" in package else ""
            hashes = "".join(f" --hash={digest}" for digest in sorted(package["hashes"]))
            lines.append(f"{name}{package['version']}{marker}{hashes}\n")
    except (NotText, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise BundleFailed(
            f"{lock_file.name} is damaged ({error}): take it from version control again"
        ) from error
    return "".join(lines)


def _install(requirements: str, tree: Path, options: Sequence[str]) -> None:
    # imported late: a synth with a filled cache needs no installer
    from uv import find_uv_bin  # noqa: PLC0415

    tree.mkdir()
    wanted = tree.parent / "requirements.txt"
    wanted.write_text(requirements, encoding="utf-8")
    command = [find_uv_bin(), "pip", "install", "--quiet"]
    if "--hash" in requirements:
        command += ["--no-deps", "--require-hashes"]
    command += ["--only-binary", ":all:", "--link-mode", "copy", "--target", str(tree)]
    command += ["--python", sys.executable, "--requirement", str(wanted), *options]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode != 0:
        raise BundleFailed(done.stderr.decode("utf-8", "replace").strip())


def tree_entries(root: Path, paths: Iterable[Path], prefix: str = "") -> Entries:
    """The files of `paths`, by their names below `root`."""
    return {prefix + path.relative_to(root).as_posix(): path.read_bytes for path in paths}


def archive_entries(archive: Archive) -> Entries:
    """The files of a zip that was made here."""
    opened = zipfile.ZipFile(io.BytesIO(archive.path.read_bytes()))
    return {name: partial(opened.read, name) for name in opened.namelist()}


def _write_zip(target: Path, entries: Entries) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name, read in sorted(entries.items()):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.create_system = 3  # Unix, whatever this runs on: Lambda reads the mode
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, read())


def files_below(folder: Path, *, without: Sequence[str] = ()) -> Iterator[Path]:
    """The files that belong in a zip. Folders named in `without` are skipped."""
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if _belongs(name) and name not in without]
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
    """Move `made` to `kept` in one step: a concurrent synth sees the whole file or none."""
    if not kept.exists():
        made.chmod(0o644)
        shutil.move(made, kept)
    return kept


def _drop_old(cache: Path, kind: str) -> None:
    """Delete archives older than a day: every change of the code adds one to the cache."""
    for old in cache.glob(f"{kind}-*.zip"):
        with contextlib.suppress(FileNotFoundError):
            if old.stat().st_mtime < time.time() - _KEPT_SECONDS:
                old.unlink()


def _existing(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
