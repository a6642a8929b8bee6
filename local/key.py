"""The AWS key of the embedded AWS: its root user, made anew with each start."""

import json
import secrets
import string
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from local.stack_file import write_private

_ID_LETTERS = string.ascii_uppercase + "234567"
_ID_RANDOM_LETTERS = 16


@dataclass(frozen=True)
class Key:
    """An access key id and its secret. The fields have the names that boto3 uses."""

    aws_access_key_id: str
    aws_secret_access_key: str

    def __repr__(self) -> str:
        """Without the secret, which would end up in a log."""
        return f"Key({self.aws_access_key_id})"

    @classmethod
    def made(cls) -> "Key":
        """A new random key. Its id has AWS's form, so it is never the number of an account."""
        letters = (secrets.choice(_ID_LETTERS) for _ in range(_ID_RANDOM_LETTERS))
        return cls("AKIA" + "".join(letters), secrets.token_urlsafe(30))

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> "Key":
        """The key in an environment. Raises KeyError."""
        return cls(environ["AWS_ACCESS_KEY_ID"], environ["AWS_SECRET_ACCESS_KEY"])

    @classmethod
    def read(cls, path: Path) -> "Key | None":
        """The key in a file; None if there is no such file, or no key in it."""
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def write(self, path: Path) -> None:
        """Write it to a file that only its owner can read."""
        write_private(path, json.dumps(asdict(self)))

    @property
    def environment(self) -> dict[str, str]:
        """The variables from which AWS tools take it."""
        return {
            "AWS_ACCESS_KEY_ID": self.aws_access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.aws_secret_access_key,
        }
