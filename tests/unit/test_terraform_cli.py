from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tools import terraform_cli
from tools.terraform_cli import PROVIDER, Provision, TerraformMissing

CREDENTIALS = 'credentials "app.example.com" {\n  token = "made-up"\n}\n'
DIRECT = "provider_installation {\n  direct {}\n}\n"


class Machine:
    """A temporary home and add-on folder, without a mirror or a configuration yet."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.opt = folder / "opt"
        self.config = folder / "checkout" / ".cache" / "terraform.tfrc"
        self.environ = {
            "HOME": str(self.home),
            "PATH": str(folder / "bin"),
            "XDG_DATA_DIRS": str(folder / "share"),
        }
        for place in (self.home, self.opt, folder / "bin"):
            place.mkdir(parents=True)

    def mirror(self, folder: Path, version: str = "5.100.0", platform: str = "") -> Path:
        here = platform or terraform_cli.this_platform()
        (folder / PROVIDER / version / here).mkdir(parents=True)
        return folder

    def terraform(self, script: str) -> Path:
        binary = Path(self.environ["PATH"]) / "terraform"
        binary.write_text(f"#!/bin/sh\n{script}\n")
        binary.chmod(0o755)
        return binary

    def provision(self) -> Provision:
        return terraform_cli.provision(
            self.environ, own_config=self.config, add_on_folders=(str(self.opt),)
        )

    def written(self) -> str:
        return self.config.read_text()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_without_a_mirror_the_registry_is_used_and_downloads_are_cached(machine: Machine) -> None:
    provision = machine.provision()

    assert not provision.mirrored
    assert "TF_CLI_CONFIG_FILE" not in provision.environment
    assert Path(provision.environment["TF_PLUGIN_CACHE_DIR"]).is_dir()


def test_the_users_own_plugin_cache_stays(machine: Machine) -> None:
    machine.environ["TF_PLUGIN_CACHE_DIR"] = "/my/cache"

    assert machine.provision().environment["TF_PLUGIN_CACHE_DIR"] == "/my/cache"


def test_a_config_file_that_does_not_exist_is_not_passed_on(machine: Machine) -> None:
    machine.environ["TF_CLI_CONFIG_FILE"] = str(machine.home / "gone.tfrc")

    assert "TF_CLI_CONFIG_FILE" not in machine.provision().environment


def test_the_checkpoint_service_is_not_called(machine: Machine) -> None:
    assert machine.provision().environment["CHECKPOINT_DISABLE"] == "1"


@pytest.mark.parametrize("below", ["tools", "vendor/tools"])
def test_a_mirror_below_an_add_on_folder_is_used(machine: Machine, below: str) -> None:
    mirror = machine.mirror(machine.opt / below)

    provision = machine.provision()

    assert provision.mirrored
    assert provision.environment["TF_CLI_CONFIG_FILE"] == str(machine.config)
    assert f'path    = "{mirror}"' in machine.written()
    assert f'exclude = ["{PROVIDER}"]' in machine.written()


@pytest.mark.parametrize("below", [".terraform.d/plugins", ".local/share/terraform/plugins"])
def test_a_mirror_where_terraform_itself_looks_is_preferred(machine: Machine, below: str) -> None:
    machine.mirror(machine.opt / "tools")
    implied = machine.mirror(machine.home / below)

    machine.provision()

    assert str(implied) in machine.written()


def test_xdg_folders_are_looked_at(machine: Machine, tmp_path: Path) -> None:
    mirror = machine.mirror(tmp_path / "share" / "terraform" / "plugins")

    machine.provision()

    assert str(mirror) in machine.written()


def test_a_zipped_provider_counts(machine: Machine) -> None:
    folder = machine.opt / "tools" / PROVIDER
    folder.mkdir(parents=True)
    (folder / f"terraform-provider-aws_5.100.1_{terraform_cli.this_platform()}.zip").touch()

    assert machine.provision().mirrored


@pytest.mark.parametrize(
    ("version", "platform"),
    [("5.99.1", ""), ("5.101.0", ""), ("6.25.0", ""), ("5.100.0", "plan9_mips")],
    ids=["too old", "too new", "another major version", "another platform"],
)
def test_a_mirror_without_a_suitable_provider_is_skipped(
    machine: Machine, version: str, platform: str
) -> None:
    machine.mirror(machine.opt / "tools", version, platform)

    assert not machine.provision().mirrored


def test_the_users_provider_installation_is_left_alone(machine: Machine) -> None:
    machine.mirror(machine.opt / "tools")
    (machine.home / ".terraformrc").write_text(DIRECT)

    provision = machine.provision()

    assert not provision.mirrored
    assert not machine.config.exists()


def test_the_users_own_mirror_is_recognized(machine: Machine) -> None:
    named = machine.home / "mine.tfrc"
    named.write_text('provider_installation {\n  filesystem_mirror {\n    path = "/m"\n  }\n}\n')
    machine.environ["TF_CLI_CONFIG_FILE"] = str(named)

    provision = machine.provision()

    assert provision.mirrored
    assert provision.environment["TF_CLI_CONFIG_FILE"] == str(named)


def test_the_users_other_settings_are_kept_and_stay_private(machine: Machine) -> None:
    machine.mirror(machine.opt / "tools")
    (machine.home / ".terraformrc").write_text(CREDENTIALS)

    machine.provision()

    assert machine.written().startswith(CREDENTIALS)
    assert machine.config.stat().st_mode & 0o077 == 0


def test_a_named_mirror_wins_over_everything(machine: Machine) -> None:
    machine.mirror(machine.opt / "tools")
    (machine.home / ".terraformrc").write_text(f"{DIRECT}\n{CREDENTIALS}")
    named = machine.mirror(machine.home / "mirror")
    machine.environ["TF_PLUGIN_MIRROR"] = str(named)

    machine.provision()

    assert machine.written() == f"{CREDENTIALS}{terraform_cli.installation(named)}"


def test_a_mirror_may_be_named_by_its_registry_folder(machine: Machine) -> None:
    named = machine.mirror(machine.home / "mirror")
    machine.environ["TF_PLUGIN_MIRROR"] = str(named / "registry.terraform.io")

    machine.provision()

    assert f'path    = "{named}"' in machine.written()


def test_a_named_mirror_that_lacks_the_provider_is_an_error(machine: Machine) -> None:
    machine.environ["TF_PLUGIN_MIRROR"] = str(machine.home / "empty")

    with pytest.raises(TerraformMissing, match=r"TF_PLUGIN_MIRROR=.*empty holds no"):
        machine.provision()


def test_terraform_is_found_and_new_enough(machine: Machine) -> None:
    binary = machine.terraform("""echo '{"terraform_version": "1.5.0"}'""")

    assert terraform_cli.require(machine.environ) == str(binary)


def test_a_missing_terraform_is_one_clear_line(machine: Machine) -> None:
    with pytest.raises(TerraformMissing, match=r"terraform >= 1\.5 is missing: install it") as line:
        terraform_cli.require(machine.environ)
    assert "\n" not in str(line.value)


def test_an_old_terraform_is_named_with_its_version(machine: Machine) -> None:
    machine.terraform("""echo '{"terraform_version": "1.4.7-rc1"}'""")

    with pytest.raises(TerraformMissing, match=r"is 1\.4\.7: upgrade it"):
        terraform_cli.require(machine.environ)


def test_the_error_for_a_terraform_that_does_not_run_says_why(machine: Machine) -> None:
    machine.terraform("echo 'no such command' >&2; exit 1")

    with pytest.raises(TerraformMissing, match="no such command"):
        terraform_cli.require(machine.environ)


@pytest.mark.slow
def test_the_real_terraform_accepts_what_we_write(machine: Machine, tmp_path: Path) -> None:
    machine.mirror(machine.opt / "tools")
    (machine.home / ".terraformrc").write_text('plugin_cache_dir = "$HOME"\n')
    provision = machine.provision()
    binary = terraform_cli.require()

    completed = subprocess.run(
        [binary, "version"],
        env=provision.environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )

    assert "Warning" not in completed.stdout + completed.stderr
