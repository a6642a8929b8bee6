"""Where the embedded AWS keeps its files: under `.local` in the checkout."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Places:
    """The checkout, and the files under its `.local`."""

    root: Path

    @property
    def home(self) -> Path:
        """The folder `.local`. All of it belongs to `make up` and `make down`."""
        return self.root / ".local"

    @property
    def synthesized(self) -> Path:
        """The synthesized stack. It is not in `cdktf.out`, which may be for a real account."""
        return self.home / "cdktf.out"

    @property
    def terraform(self) -> Path:
        """Terraform's working copy of the stack, with the state of the embedded AWS."""
        return self.home / "terraform"

    @property
    def scratch(self) -> Path:
        """Temporary files of the emulator: the unpacked code of running functions."""
        return self.home / "tmp"

    @property
    def logs(self) -> Path:
        """The logs, one file per process."""
        return self.home / "log"

    def log(self, name: str) -> Path:
        """Return the log file of one process, and make its folder."""
        self.logs.mkdir(parents=True, exist_ok=True)
        return self.logs / f"{name}.log"

    @property
    def stack_file(self) -> Path:
        """What clients need to know. It only exists while the stack is up."""
        return self.home / "stack.json"

    @property
    def tokens(self) -> Path:
        """The two tokens, the same from one `make up` to the next."""
        return self.home / "tokens.json"

    @property
    def key(self) -> Path:
        """The key of the running embedded AWS."""
        return self.home / "key.json"

    @property
    def journal(self) -> Path:
        """What the SageMaker simulator accepted. With it, a new process goes on where one ended."""
        return self.home / "simulator.journal"

    @property
    def applied(self) -> Path:
        """What the last apply of Terraform left."""
        return self.home / "applied.json"

    @property
    def applying(self) -> Path:
        """A mark that exists while Terraform makes changes. If it is left behind, the state of
        Terraform is not reliable."""
        return self.home / "applying"


def here() -> Places:
    """Return the places of the checkout that holds this file."""
    return Places(Path(__file__).resolve().parent.parent)
