"""Which stack a state of Terraform holds, and which config file deployed it.

Terraform destroys what its state holds and the config does not. So before it is asked, a state must
hold the stack of the config or nothing. A stack is a prefix in a region; all that it owns carries
its stack tag. Why so: docs/decisions/0098-one-state-for-each-stack.md.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from constructs_lib.config.document import STATES, DeployConfig, S3Backend
from constructs_lib.config.file import load
from lambdas.core.settings import STACK_TAG_KEY
from tools.terraform_cli import write

BEFORE = "endpoint-manager.tfstate"
"""Under `.terraform-state`: the one state of all configs, until each stack had its own."""


RECORD = "deployed-by.json"
"""Beside the state: which file deployed it."""


ACCOUNT_OF_ARN = 4
"""Its place between the colons. ARNs of buckets have none."""


class WrongState(Exception):
    """Terraform must not be asked with this config. The message says why and what to do."""


@dataclass(frozen=True)
class Source:
    """The files of a config, relative to the project where they lie in it."""

    config: str
    overlay: str | None

    @classmethod
    def chosen(cls, root: Path, environ: Mapping[str, str]) -> Source:
        def named(path: str) -> str:
            found = (root / path).resolve()
            inside = found.is_relative_to(root.resolve())
            return str(found.relative_to(root.resolve()) if inside else found)

        overlay = environ.get("CONFIG_OVERLAY")
        return cls(
            named(environ.get("CONFIG") or "configs/configs.json"),
            named(overlay) if overlay else None,
        )

    @classmethod
    def read(cls, record: Path) -> Source:
        """Raises WrongState if it is damaged."""
        try:
            return cls(**json.loads(record.read_text(encoding="utf-8")))
        except (ValueError, TypeError) as error:
            raise WrongState(
                f"{record} is damaged, so it does not say which config file deployed the stack in "
                "its folder: remove it, and the next deploy writes it anew. The state beside it "
                "stays"
            ) from error

    def load(self, root: Path) -> DeployConfig:
        """Raises InvalidConfig."""
        return load(root / self.config, root / self.overlay if self.overlay else None)


@dataclass(frozen=True)
class Held:
    """What a state holds: the stack tags of its resources, the accounts that they are in, and
    whether there are any resources."""

    tags: frozenset[str]
    accounts: frozenset[str]
    anything: bool

    @classmethod
    def by(cls, content: bytes, place: str) -> Held:
        try:
            resources = json.loads(content)["resources"] if content.strip() else []
            made = [one for one in resources if one["mode"] == "managed" and one["instances"]]
            attributes = [each.get("attributes") or {} for one in made for each in one["instances"]]
            tags = [(values.get("tags_all") or {}).get(STACK_TAG_KEY) for values in attributes]
            arns = [str(values.get("arn")).split(":") for values in attributes]
            accounts = [arn[ACCOUNT_OF_ARN] for arn in arns if len(arn) > ACCOUNT_OF_ARN]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise WrongState(
                f"{place} is not a state of Terraform: put back a copy, such as {place}.backup"
            ) from error
        return cls(frozenset(filter(None, tags)), frozenset(filter(None, accounts)), bool(made))

    @classmethod
    def in_file(cls, path: Path) -> Held:
        return cls.by(path.read_bytes() if path.exists() else b"", str(path))

    @property
    def told(self) -> str:
        return f"the stack {', '.join(sorted(self.tags))}" if self.tags else "an unknown stack"


@dataclass(frozen=True)
class Stack:
    """The stack of `config`, which was read from `source`, in the project at `root`."""

    root: Path
    source: Source
    config: DeployConfig

    @property
    def state(self) -> Path:
        return self.root / self.config.state_file

    @property
    def data(self) -> Path:
        """Terraform's working data. One folder for each stack: it remembers the backend."""
        return self.state.parent / ".terraform"

    @property
    def _record(self) -> Path:
        return self.state.with_name(RECORD)

    def require_local(self) -> None:
        """All that can be found out without AWS. Raises WrongState."""
        self._require_own_file()
        if not isinstance(self.config.backend, S3Backend):
            self._move_from_before()
            self._require_own(Held.in_file(self.state), self.config.state_file)
            self._note_other_file()

    def require_remote(self, aws: boto3.Session, account: str) -> None:
        """All that is found out with credentials of the account. Raises WrongState."""
        backend = self.config.backend
        if not isinstance(backend, S3Backend):
            self._require_account(Held.in_file(self.state), self.config.state_file, account)
            return
        place = backend.place
        s3 = aws.client("s3", region_name=backend.region or self.config.region_name)
        try:
            content = s3.get_object(Bucket=backend.bucket, Key=backend.key)["Body"].read()
        except s3.exceptions.NoSuchKey:
            return
        except (BotoCoreError, ClientError) as error:
            raise WrongState(
                f"the state {place} cannot be read: {error}. Terraform needs it too: look at "
                "`backend` in the config, and at what your credentials allow"
            ) from error
        held = Held.by(content, place)
        self._require_own(held, place)
        self._require_account(held, place, account)

    def record(self) -> None:
        """Write down which file deploys it, before it does. It counts while the state holds
        anything. With S3 there is nothing to write: what the state itself holds is enough."""
        if not isinstance(self.config.backend, S3Backend):
            write(self._record, json.dumps(asdict(self.source)) + "\n")

    def _require_own(self, held: Held, place: str) -> None:
        # One that holds both is on its way from one to the other, and this config may finish it.
        if held.tags and self.config.stack_tag not in held.tags:
            raise WrongState(
                f"{place} holds {held.told}, and {self.source.config} describes "
                f"{self.config.stack_tag}: Terraform would destroy the first. Either give this "
                "stack a place of its own (another `backend.key`, or another `project_prefix`), or "
                "put `project_prefix` and `region_name` back and run `make destroy` first"
            )

    def _require_account(self, held: Held, place: str, account: str) -> None:
        """Terraform finds nothing of it in another account, and would make all of it anew there."""
        if held.accounts and account not in held.accounts:
            theirs = ", ".join(sorted(held.accounts))
            raise WrongState(
                f"{place} holds {held.told} of the account {theirs}, and the credentials are of "
                f"the account {account}: Terraform would forget the first and make all anew. "
                f"Choose credentials of {theirs} (AWS_PROFILE, or `provider.profile`). For a "
                "second stack, write a config with another `project_prefix`, or with a `backend` "
                "of its own in a clone of its own. `provider.allowed_account_ids` keeps a config "
                "to its account"
            )

    def _require_own_file(self) -> None:
        for record in sorted(self.root.glob(f"{STATES}/*/*/{RECORD}")):
            if Source.read(record) != self.source:
                continue
            held = Held.in_file(record.with_name(self.state.name))
            if held.anything and self.config.stack_tag not in held.tags:
                raise WrongState(
                    f"{self.source.config} deployed {held.told}, which is still there. With "
                    f"another prefix or region it describes {self.config.stack_tag}, another "
                    "stack. Either put `project_prefix` and `region_name` back and run `make "
                    "destroy` first, or write the new stack into a file of its own (CONFIG=path). "
                    "If both stacks are to be there, remove "
                    f"{record.relative_to(self.root)}: the state beside it stays"
                )

    def _note_other_file(self) -> None:
        if self._record.exists() and Held.in_file(self.state).anything:
            before = Source.read(self._record)
            if before != self.source:
                print(
                    f"Note: {self.config.stack_tag} was deployed from {before.config} before, and "
                    f"now it is to become what {self.source.config} describes.",
                    file=sys.stderr,
                )

    def _move_from_before(self) -> None:
        """Move the state from where every config had it, if it is of this stack.

        Renaming is one step, so a run that dies leaves the state here or there. Terraform's own
        lock on the file keeps it from being moved under an apply.
        """
        old = self.root / STATES / BEFORE
        held = Held.in_file(old)
        if not held.anything:
            return
        if self.config.stack_tag not in held.tags:
            print(
                f"Note: {STATES}/{BEFORE} holds {held.told}. It is left there for the config of "
                "that stack.",
                file=sys.stderr,
            )
            return
        if Held.in_file(self.state).anything:
            raise WrongState(
                f"{STATES}/{BEFORE} and {self.config.state_file} both hold {held.told}: move the "
                "one that is out of date out of the folder. The other one has the higher `serial`"
            )
        self.state.parent.mkdir(parents=True, exist_ok=True)
        with old.open("r+b") as file:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise WrongState(
                    f"another Terraform is at work on {STATES}/{BEFORE}: wait until it is done"
                ) from error
            backup = old.with_name(f"{BEFORE}.backup")
            if backup.exists():
                backup.replace(self.state.with_name(f"{self.state.name}.backup"))
            old.replace(self.state)
        print(
            f"Note: moved the state of {held.told} from {STATES}/{BEFORE} to "
            f"{self.config.state_file}: each stack has its own now.",
            file=sys.stderr,
        )


def wait_for_turn(root: Path) -> None:
    """Only one CLI of a checkout at a time: they share `cdktf.out`. The lock ends with this
    process, into which the CLI is loaded."""
    folder = root / STATES
    folder.mkdir(exist_ok=True)
    lock = os.open(folder, os.O_RDONLY)
    os.set_inheritable(lock, True)  # noqa: FBT003
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("Waiting for another plan, deploy or destroy of this folder.", file=sys.stderr)
        fcntl.flock(lock, fcntl.LOCK_EX)
