"""`python -m local.down`: stops what `make up` started and removes its data."""

import shutil
import sys

from local import embedded
from local.one_at_a_time import taking_turns
from local.places import Places, here
from local.processes import ours
from local.steps import Steps


def down(places: Places) -> str:
    """Leave no process, no port and no file; returns what was done. It changes nothing if nothing
    is up."""
    running = len(ours(places))
    if not running and not places.home.exists():
        return "Nothing runs here: there was nothing to stop."
    steps = Steps(count=2, out=sys.stdout)
    with steps.step(f"stop {running} processes"):
        embedded.clear(places)
    with steps.step("remove their data"):
        shutil.rmtree(places.home, ignore_errors=True)
    return "Down: everything is stopped."


def main(places: Places) -> int:
    """Run when no other `make up` or `make down` is running."""
    with taking_turns(places):
        print(down(places))
    return 0


if __name__ == "__main__":
    sys.exit(main(here()))
