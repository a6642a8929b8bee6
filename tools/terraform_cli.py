"""Finds Terraform, and decides where it gets the AWS provider from.

The provider comes from the Terraform registry or from a filesystem mirror: the one that
`TF_PLUGIN_MIRROR` names, else the one in the user's CLI configuration, else one in the usual
places. A found mirror is written to a separate CLI configuration under `.local`, together with the
user's settings. The user's files are never changed. Standard library only, for the bootstrap.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).resolve().parent.parent
OLDEST_TERRAFORM = (1, 5)
REGISTRY = "registry.terraform.io"
PROVIDER = f"{REGISTRY}/hashicorp/aws"
OLDEST_PROVIDER, TOO_NEW_PROVIDER = (5, 100, 0), (5, 101, 0)  # as the stack requires it
ADD_ON_FOLDERS = ("/opt", "/usr/local/share", "/usr/share", "/var/lib")  # of the FHS


class TerraformMissing(Exception):
    """No usable Terraform, no provider in the named mirror, or a configuration that is no text.
    The message says what to do."""


@dataclass(frozen=True)
class Provision:
    """How to run Terraform: its environment, and whether it uses a filesystem mirror."""

    environment: dict[str, str]
    mirrored: bool


def environment() -> dict[str, str]:
    """The environment for `terraform` in this checkout."""
    return provision(os.environ).environment


def require(environ: Mapping[str, str] = os.environ) -> str:
    """The path of a Terraform that is new enough. Raises TerraformMissing with one clear line."""
    name = environ.get("TERRAFORM_BINARY_NAME", "terraform")
    binary = shutil.which(name, path=environ.get("PATH"))
    wanted = ".".join(str(part) for part in OLDEST_TERRAFORM)
    if binary is None:
        raise TerraformMissing(
            f"{name} >= {wanted} is missing: install it from your package manager or "
            "https://developer.hashicorp.com/terraform/install"
        )
    quiet = without_absent_config(environ) | {"CHECKPOINT_DISABLE": "1"}
    result = subprocess.run(
        [binary, "version", "-json"], env=quiet, capture_output=True, text=True, check=False
    )
    try:
        version = numbers(json.loads(result.stdout)["terraform_version"])
    except (ValueError, KeyError) as unreadable:
        output = (result.stderr or result.stdout).strip()
        raise TerraformMissing(f"{binary} version -json does not work: {output}") from unreadable
    if version < OLDEST_TERRAFORM:
        found = ".".join(str(part) for part in version)
        raise TerraformMissing(f"terraform >= {wanted} is needed, {binary} is {found}: upgrade it")
    return binary


def provision(
    environ: Mapping[str, str],
    *,
    own_config: Path = ROOT / ".cache" / "terraform.tfrc",
    add_on_folders: tuple[str, ...] = ADD_ON_FOLDERS,
) -> Provision:
    """Decide where the provider comes from, and write `own_config` if a mirror needs it."""
    settings = without_absent_config(environ)
    settings["CHECKPOINT_DISABLE"] = "1"
    users = users_config(environ)
    mirror = named_mirror(environ)
    if mirror:
        users = without_provider_installation(users)
    elif "provider_installation" in users:
        return Provision(settings, mirrored="filesystem_mirror" in users)
    else:
        mirror = find_mirror(environ, add_on_folders)
    if mirror is None:
        # Without a cache, each working folder would download the provider: some 150 MB.
        if "plugin_cache_dir" not in users and "TF_PLUGIN_CACHE_DIR" not in settings:
            cache = own_config.parent / "terraform-plugins"
            cache.mkdir(parents=True, exist_ok=True)
            settings["TF_PLUGIN_CACHE_DIR"] = str(cache)
            settings["TF_PLUGIN_CACHE_MAY_BREAK_DEPENDENCY_LOCK_FILE"] = "1"
        return Provision(settings, mirrored=False)
    write(own_config, f"{users}{installation(mirror)}")
    settings["TF_CLI_CONFIG_FILE"] = str(own_config)
    return Provision(settings, mirrored=True)


def installation(mirror: Path) -> str:
    """The block of a CLI configuration that takes our provider only from `mirror`."""
    return (
        "provider_installation {\n"
        "  filesystem_mirror {\n"
        f"    path    = {json.dumps(str(mirror))}\n"
        f'    include = ["{PROVIDER}"]\n'
        "  }\n"
        "  direct {\n"
        f'    exclude = ["{PROVIDER}"]\n'
        "  }\n"
        "}\n"
    )


# --- the user's own configuration -------------------------------------------------------------


def without_absent_config(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment without a TF_CLI_CONFIG_FILE that does not exist: Terraform would warn."""
    settings = dict(environ)
    named = settings.get("TF_CLI_CONFIG_FILE")
    if named is not None and not Path(named).is_file():
        del settings["TF_CLI_CONFIG_FILE"]
    return settings


def users_config(environ: Mapping[str, str]) -> str:
    """The text of the files that Terraform itself would read for this user.

    Raises TerraformMissing.
    """
    named = without_absent_config(environ).get("TF_CLI_CONFIG_FILE")
    if named:
        files = [Path(named)]
    else:
        home = home_of(environ)
        files = [home / ".terraformrc", *sorted((home / ".terraform.d").glob("*.tfrc"))]
    texts = [_text(file) for file in files if file.is_file()]
    return "".join(f"{text.rstrip()}\n" for text in texts if text.strip())


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise TerraformMissing(
            f"{file} is not UTF-8, as Terraform reads it: save it as UTF-8"
        ) from error


def without_provider_installation(config: str) -> str:
    """The configuration without its `provider_installation` block: only one is allowed."""
    opening = re.search(r"^[ \t]*provider_installation\s*\{", config, re.MULTILINE)
    if opening is None:
        return config
    depth, end = 1, opening.end()
    while depth and end < len(config):
        depth += {"{": 1, "}": -1}.get(config[end], 0)
        end += 1
    return config[: opening.start()] + config[end:].lstrip("\n")


def home_of(environ: Mapping[str, str]) -> Path:
    """The user's home, as Terraform finds it."""
    return Path(environ.get("HOME") or Path.home())


# --- mirrors ----------------------------------------------------------------------------------


def named_mirror(environ: Mapping[str, str]) -> Path | None:
    """The mirror of `TF_PLUGIN_MIRROR`. Raises TerraformMissing if it is of no use."""
    named = environ.get("TF_PLUGIN_MIRROR")
    if not named:
        return None
    mirror = mirror_root(Path(named).expanduser())
    if mirror is None:
        raise TerraformMissing(
            f"TF_PLUGIN_MIRROR={named} holds no {PROVIDER} 5.100 for {this_platform()}"
        )
    return mirror


def find_mirror(
    environ: Mapping[str, str], add_on_folders: tuple[str, ...] = ADD_ON_FOLDERS
) -> Path | None:
    """The first folder in the usual places that has a usable provider for this platform."""
    places = [*implied_mirrors(environ), *add_on_mirrors(add_on_folders)]
    return next((found for place in places if (found := mirror_root(place))), None)


def implied_mirrors(environ: Mapping[str, str]) -> Iterator[Path]:
    """The folders that Terraform itself searches if nothing is configured."""
    home = home_of(environ)
    yield ROOT / "terraform.d" / "plugins"
    yield home / ".terraform.d" / "plugins"
    if sys.platform == "darwin":
        yield home / "Library" / "Application Support" / "io.terraform" / "plugins"
        yield Path("/Library/Application Support/io.terraform/plugins")
    data_home = environ.get("XDG_DATA_HOME") or home / ".local" / "share"
    data_dirs = environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
    for folder in (data_home, *data_dirs.split(":")):
        yield Path(folder) / "terraform" / "plugins"


def add_on_mirrors(folders: tuple[str, ...] = ADD_ON_FOLDERS) -> Iterator[Path]:
    """Mirrors one or two levels below the folders for add-on software."""
    for folder in folders:
        for depth in ("*", "*/*"):
            for registry in sorted(Path(folder).glob(f"{depth}/{REGISTRY}")):
                yield registry.parent


def mirror_root(folder: Path) -> Path | None:
    """`folder`, or its parent if it is the registry's own folder, if it has the provider."""
    for root in (folder, folder.parent) if folder.name == REGISTRY else (folder,):
        if serves(root, this_platform()):
            return root.absolute()
    return None


def serves(mirror: Path, system: str) -> bool:
    """Whether the mirror has a usable provider for a system such as linux_amd64."""
    found = versions(mirror, system)
    return any(OLDEST_PROVIDER <= version < TOO_NEW_PROVIDER for version in found)


def versions(mirror: Path, system: str) -> Iterator[tuple[int, ...]]:
    """The versions of the provider in the mirror for a system, unpacked or zipped."""
    folder = mirror / PROVIDER
    for unpacked in folder.glob(f"*/{system}"):
        yield numbers(unpacked.parent.name)
    for packed in folder.glob(f"terraform-provider-aws_*_{system}.zip"):
        yield numbers(packed.name.split("_")[1])


def this_platform() -> str:
    """This machine in Terraform's notation, such as linux_amd64."""
    machine = platform.machine().lower()
    names = {"x86_64": "amd64", "aarch64": "arm64"}
    return f"{platform.system().lower()}_{names.get(machine, machine)}"


# --- shared functions -------------------------------------------------------------------------


def numbers(version: str) -> tuple[int, ...]:
    """A version as comparable numbers. A pre-release counts as its release."""
    return tuple(int(part) for part in re.findall(r"\d+", version.partition("-")[0]))


def write(file: Path, text: str) -> None:
    """Replace a file in one step, for concurrent runs. Only its owner may read it: it may hold
    credentials."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f"{file.name}.{os.getpid()}")
    draft.touch(mode=0o600)
    draft.write_text(text, encoding="utf-8")
    draft.replace(file)
