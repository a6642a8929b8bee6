"""A copy of the checkout that a test brings up, calls and takes down as a user would."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import boto3
import httpx

from lambdas.aws.token_list import DynamoTokenList
from lambdas.core.scopes import Scopes
from lambdas.core.tokens import Token, hashed, new_secret
from tests.contract.emulator_process import free_port

ROOT = Path(__file__).resolve().parents[2]
SUMMARY = ("Resources:", "No changes")
PATIENCE_SECONDS = 600
_Found = TypeVar("_Found")


def until(look: Callable[[], _Found | None], seconds: float = 20, every: float = 0.05) -> _Found:
    """Call `look` until it returns something true; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {seconds} s: {look}"
        time.sleep(every)


@dataclass
class Checkout:
    """The copy at `folder`, served on `port` while it is up."""

    folder: Path
    port: int = field(default_factory=free_port)

    @classmethod
    def copy_to(cls, folder: Path) -> Checkout:
        """Copy all files that git tracks or would track; link what was installed and downloaded."""
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            check=True,
            capture_output=True,
        )
        for name in filter(None, listed.stdout.decode().split("\0")):
            if (ROOT / name).is_file():
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, target)
        for shared in (".venv", "node_modules", ".cache"):
            if (ROOT / shared).exists():
                (folder / shared).symlink_to(ROOT / shared)
        return cls(folder)

    def run(
        self, module: str, *arguments: str, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run `python -m module` in the copy."""
        return self.command([sys.executable, "-m", module, *arguments], **environment)

    def command(
        self, command: Sequence[str], **environment: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.folder,
            env={**os.environ, "LOCAL_PORT": str(self.port), **environment},
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )

    def up(self, **environment: str) -> str:
        """Run `make up`; returns its output."""
        done = self.run("local.up", **environment)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def down(self) -> None:
        done = self.run("local.down")
        assert done.returncode == 0, done.stdout + done.stderr

    def write_config(self, config: Mapping[str, Any]) -> str:
        """Write a config beside the shipped one and return its path."""
        path = self.folder / "configs" / "under-test.json"
        path.write_text(json.dumps(config))
        return str(path)

    def config(self) -> dict[str, Any]:
        """The shipped config, for a test to change."""
        document: dict[str, Any] = json.loads((self.folder / "configs/configs.json").read_text())
        return document

    @property
    def stack(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.folder / ".local/stack.json").read_text())
        return document

    def terraform(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Terraform on the state of the embedded stack."""
        return self.command(
            ["terraform", f"-chdir={self.folder / '.local/terraform'}", *arguments],
            **self.aws(),
        )

    def aws(self) -> dict[str, str]:
        """The environment with which AWS tools reach only the embedded AWS."""
        stack = self.stack
        return {
            "AWS_ENDPOINT_URL": stack["aws_endpoint_url"],
            "AWS_ENDPOINT_URL_SAGEMAKER": stack["sagemaker_endpoint_url"],
            "AWS_ACCESS_KEY_ID": stack["aws_access_key_id"],
            "AWS_SECRET_ACCESS_KEY": stack["aws_secret_access_key"],
            "AWS_REGION": stack["region"],
            "AWS_DEFAULT_REGION": stack["region"],
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    @property
    def root(self) -> dict[str, str]:
        """What boto3.client takes, to act as the root user."""
        return {name: self.stack[name] for name in ("aws_access_key_id", "aws_secret_access_key")}

    def client(self, service: Any, **session: str) -> Any:
        """A boto3 client of any service, of the root user or in the name of a `session`."""
        url = "sagemaker_endpoint_url" if service == "sagemaker" else "aws_endpoint_url"
        credentials: Any = session or self.root
        return boto3.client(
            service,
            endpoint_url=self.stack[url],
            region_name=self.stack["region"],
            **credentials,
        )

    def api(self, token: str | None = None) -> httpx.Client:
        """A client of the REST API: with the user's token by default, without one if ''."""
        chosen = self.stack["token"] if token is None else token
        headers = {"Authorization": chosen} if chosen else {}
        return httpx.Client(base_url=self.stack["api_url"], headers=headers, timeout=30)

    def new_token(self, scopes: str, *, days: int | None = 1) -> str:
        """A new token as the command line makes them; expired already where days are negative."""
        secret, now = new_secret(), datetime.now(UTC).replace(microsecond=0)
        ends = now + timedelta(days=days) if days is not None else None
        tokens = DynamoTokenList(self.client("dynamodb"), self.stack["auth_table"])
        tokens.add(Token(hashed(secret), "e2e", Scopes.parse(scopes), now, ends))
        return secret

    def simulator(self) -> httpx.Client:
        return httpx.Client(base_url=self.stack["sagemaker_endpoint_url"], timeout=10)

    def fault(self, operation: str, failure: str, **more: object) -> None:
        with self.simulator() as simulator:
            body = {"operation": operation, "failure": failure, "endpoint": None, "count": 1}
            simulator.post("/_faults", json={**body, **more}).raise_for_status()

    def clear_faults(self) -> None:
        with self.simulator() as simulator:
            simulator.delete("/_faults").raise_for_status()

    def calls(self, operation: str, endpoint: str) -> list[dict[str, Any]]:
        """The calls of this operation on this endpoint so far, with their times."""
        with self.simulator() as simulator:
            every = simulator.get("/_calls").json()["calls"]
        return [c for c in every if (c["operation"], c["endpoint"]) == (operation, endpoint)]

    def status(self, endpoint: str) -> str:
        sagemaker = self.client("sagemaker")
        try:
            found: str = sagemaker.describe_endpoint(EndpointName=endpoint)["EndpointStatus"]
        except sagemaker.exceptions.ClientError:
            return "Absent"
        return found


def listening(pids: set[int]) -> list[str]:
    """The addresses on which the processes listen, as `ip:port`."""
    inodes = {inode for pid in pids for inode in _sockets_of(pid)}
    found = []
    for table, width in (("tcp", 8), ("tcp6", 32)):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                address, port = fields[1].split(":")
                found.append(f"{_ip(address, width)}:{int(port, 16)}")
    return found


def _sockets_of(pid: int) -> list[str]:
    links = []
    for descriptor in Path(f"/proc/{pid}/fd").glob("*"):
        try:
            target = str(descriptor.readlink())
        except OSError:
            continue
        if target.startswith("socket:["):
            links.append(target[8:-1])
    return links


def _ip(text: str, width: int) -> str:
    raw = bytes.fromhex(text)
    words = [raw[i : i + 4][::-1] for i in range(0, width // 2, 4)]
    family = socket.AF_INET if width == 8 else socket.AF_INET6
    return socket.inet_ntop(family, b"".join(words))


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def descendants(pids: set[int]) -> set[int]:
    """The processes and all their descendants."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(stat.parent.name)] = int(fields[1])
    family = set(pids)
    while grown := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= grown
    return family
