from __future__ import annotations

import json
import os
import time
import zipfile
from pathlib import Path

import pytest

import main
from constructs_lib import bundle
from constructs_lib.bundle import Archive, BundleFailed, bundle_code, bundle_layer

LOCK = main.PROJECT / "Pipfile.lock"


def project_with(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def layer(cache: Path, *, for_host: bool = False) -> Archive:
    return bundle_layer(LOCK, cache, architecture="arm64", for_host=for_host)


def test_archive_of_the_code_does_not_depend_on_folder_times_or_modes(tmp_path: Path) -> None:
    files = {"lambdas/a.py": "a = 1\n", "lambdas/core/b.py": "b = 2\n"}
    first = project_with(tmp_path / "one", files)
    second = project_with(tmp_path / "two", dict(reversed(files.items())))
    litter = {"lambdas/__pycache__/a.pyc": "x", "lambdas/.DS_Store": "x", "docs/c.py": "x"}
    project_with(second, litter)
    (second / "lambdas/a.py").chmod(0o755)
    os.utime(second / "lambdas/a.py", (0, 0))
    one, two = bundle_code(first, tmp_path / "cache1"), bundle_code(second, tmp_path / "cache2")
    assert one.path.read_bytes() == two.path.read_bytes()
    assert zipfile.ZipFile(one.path).namelist() == ["lambdas/a.py", "lambdas/core/b.py"]


def test_changed_code_is_another_archive(tmp_path: Path) -> None:
    project = project_with(tmp_path, {"lambdas/a.py": "a = 1\n"})
    before = bundle_code(project, tmp_path / "cache")
    (project / "lambdas/a.py").write_text("a = 2\n")
    assert bundle_code(project, tmp_path / "cache").hex_hash != before.hex_hash


def test_archives_of_older_code_are_dropped(tmp_path: Path) -> None:
    project = project_with(tmp_path, {"lambdas/a.py": "a = 1\n"})
    old = bundle_code(project, tmp_path / "cache").path
    os.utime(old, (0, 0))
    (project / "lambdas/a.py").write_text("a = 2\n")
    new = bundle_code(project, tmp_path / "cache").path
    assert list((tmp_path / "cache").iterdir()) == [new]


def test_the_layer_holds_the_locked_packages_for_the_platform_of_lambda() -> None:
    names = zipfile.ZipFile(layer(main.CACHE).path).namelist()
    assert "python/aws_lambda_powertools/__init__.py" in names
    assert "python/tzdata/zoneinfo/Australia/Melbourne" in names
    compiled = [name for name in names if "_pydantic_core" in name and name.endswith(".so")]
    assert len(compiled) == 1
    assert "313-aarch64" in compiled[0]
    assert not [n for n in names if n.endswith((".pyc", "/RECORD", "/INSTALLER")) or "/bin/" in n]
    assert not [name for name in names if name.startswith(("python/boto3/", "python/botocore/"))]


def test_the_layer_for_this_machine_fits_its_interpreter(tmp_path: Path) -> None:
    names = zipfile.ZipFile(layer(main.CACHE, for_host=True).path).namelist()
    assert [n for n in names if "_pydantic_core" in n and "aarch64-linux" not in n]


@pytest.mark.slow
def test_a_layer_built_twice_is_the_same_bytes(tmp_path: Path) -> None:
    first, second = layer(tmp_path / "one"), layer(tmp_path / "two")
    assert first.path.read_bytes() == second.path.read_bytes()


def test_a_cached_layer_is_used_quickly_without_an_installer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer(main.CACHE)

    def refuse(*_: object) -> None:
        raise AssertionError("nothing is to be installed")

    monkeypatch.setattr(bundle, "_install", refuse)
    began = time.perf_counter()
    layer(main.CACHE)
    assert time.perf_counter() - began < 0.3
    with pytest.raises(AssertionError):
        layer(tmp_path)


def test_the_error_for_a_layer_that_cannot_be_built_says_why(tmp_path: Path) -> None:
    digest = "sha256:" + "0" * 64
    locked = {"layer": {"tzdata": {"version": "==2024.1", "hashes": [digest]}}}
    (tmp_path / "Pipfile.lock").write_text(json.dumps(locked))
    with pytest.raises(BundleFailed, match="tzdata"):
        bundle_layer(
            tmp_path / "Pipfile.lock", tmp_path / "cache", architecture="arm64", for_host=True
        )
    assert not list((tmp_path / "cache").iterdir())


def test_an_archive_has_its_hash_in_hex_and_in_base64(tmp_path: Path) -> None:
    archive = Archive(tmp_path, bytes.fromhex("00ff" * 16))
    assert archive.hex_hash == "00ff" * 16
    assert archive.base64_hash == "AP8A/wD/AP8A/wD/AP8A/wD/AP8A/wD/AP8A/wD/AP8="
