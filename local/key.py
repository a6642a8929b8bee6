"""The AWS key of the embedded AWS: its root user's, made anew with each start.

The credentials of a role's sessions are derived from it. So the simulator, a separate process with
the same key, knows them without asking the emulator, and nobody else can compute them.
"""

import base64
import hashlib
import hmac
import json
import secrets
import string
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
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

    def session(self, arn: str) -> "Session":
        """The credentials of a session of a role. They are the same each time."""
        token = f"{base64.urlsafe_b64encode(arn.encode()).decode()}.{self._derived('token', arn)}"
        return Session(
            arn,
            f"ASIA{self._derived('id', arn)[:16].upper()}",
            self._derived("secret", arn),
            token,
        )

    def session_of(self, token: str) -> "Session | None":
        """The session with this token; None if the token was not made with this key."""
        try:
            arn = base64.urlsafe_b64decode(token.partition(".")[0]).decode()
        except ValueError:
            return None
        session = self.session(arn)
        return session if hmac.compare_digest(session.token.encode(), token.encode()) else None

    def _derived(self, purpose: str, arn: str) -> str:
        text = f"{purpose}:{arn}".encode()
        return hmac.digest(self.aws_secret_access_key.encode(), text, hashlib.sha256).hex()

    @property
    def environment(self) -> dict[str, str]:
        """The variables from which AWS tools take it."""
        return {
            "AWS_ACCESS_KEY_ID": self.aws_access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.aws_secret_access_key,
        }


@dataclass(frozen=True)
class Session:
    """Temporary credentials, in which a service acts for a role."""

    arn: str
    access_key_id: str
    secret_access_key: str = field(repr=False)
    token: str = field(repr=False)
