"""`python -m local.down`: stops what `make up` started and removes its data."""

import shutil
import sys

from local import embedded
from local.one_at_a_time import taking_turns
from local.places import Places, here


def down(places: Places) -> None:
    """Leave no process, no port and no file. It changes nothing if nothing is up."""
    embedded.clear(places)
    shutil.rmtree(places.home, ignore_errors=True)


def main(places: Places) -> int:
    """Run when no other `make up` or `make down` is running."""
    with taking_turns(places):
        down(places)
    print("Down: everything is stopped.")
    return 0


if __name__ == "__main__":
    sys.exit(main(here()))
