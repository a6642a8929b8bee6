"""Allows only one `make up` or `make down` of a checkout at a time."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from local.places import Places


@contextmanager
def taking_turns(places: Places) -> Iterator[None]:
    """Wait for the other run. The lock is on the folder itself and ends with the process."""
    folder = os.open(places.root, os.O_RDONLY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Waiting for another `make up` or `make down` of this folder.")
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)
