"""`python -m local.down`: stops what `make up` started and removes what it kept."""

import shutil
import sys

from local import embedded
from local.places import Places, here
from local.turn import taking_turns


def down(places: Places) -> None:
    """Leave no process, no port, no state. Does no harm where nothing is up."""
    embedded.clear(places)
    for folder in (places.synthesized, places.logs):
        shutil.rmtree(folder, ignore_errors=True)
    places.tokens.unlink(missing_ok=True)


def main(places: Places) -> int:
    """Run once nobody else brings the stack up."""
    with taking_turns(places):
        down(places)
    print("Down: nothing is left running.")
    return 0


if __name__ == "__main__":
    sys.exit(main(here()))
