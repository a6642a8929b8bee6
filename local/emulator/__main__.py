"""`python -m local.emulator --port 4566`: the embedded AWS, until SIGTERM or SIGINT."""

import argparse
import os
import sys

from local.emulator.pinned import WrongMinistackError, require_pinned_version
from local.emulator.server import serve


def main() -> None:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m local.emulator", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="port on 127.0.0.1")
    port: int = parser.parse_args().port
    try:
        require_pinned_version()
    except WrongMinistackError as error:
        sys.exit(str(error))
    if not {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} <= os.environ.keys():
        sys.exit(
            "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY: they become the key of the root user."
        )
    serve(port)
    # Threads of the emulator may still wait for an invocation. None of them has data to save.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
