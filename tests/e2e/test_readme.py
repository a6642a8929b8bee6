"""The README's commands, run as they stand."""

from __future__ import annotations

import json
import re

from tests.e2e.checkout import ROOT, Checkout
from tests.e2e.test_rest import FLAN

README = (ROOT / "README.md").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()
IN_SERVICE = f"""\
until curl -s "$API/endpoint-expiry?EndpointName={FLAN}" -H "Authorization: $TOKEN" | grep InService
do sleep 0.2; done > /dev/null"""


def blocks(pattern: str) -> list[str]:
    return re.findall(pattern + r"```sh\n(.*?)```", README, flags=re.DOTALL)


def test_tour_works_as_it_is_written(checkout: Checkout) -> None:
    tour = "\n".join(blocks(r"<!-- run: tour -->\n"))
    assert tour.count("curl") == 6
    # One JSON document a line, whatever curl was answered.
    tour = tour.replace("sleep 5", IN_SERVICE)  # however busy the machine is
    script = "set -euo pipefail\n" + re.sub(
        r"^curl ", "curl --fail-with-body -w '\\\\n' ", tour, flags=re.MULTILINE
    )
    done = checkout.command(["bash", "-c", script])
    assert done.returncode == 0, done.stdout + done.stderr
    listed, renewed, running, answer, stopped, events = map(json.loads, done.stdout.splitlines())
    assert FLAN in {entry["EndpointName"] for entry in listed}
    assert renewed["Wanted"] == "running"
    assert running["Status"] == "InService"
    assert answer["max_length"] == 50
    assert stopped["Wanted"] == "stopped"
    assert {"renewed", "stopped"} <= {event["Event"] for event in events}


def test_example_answer_has_the_fields_of_a_real_one(checkout: Checkout) -> None:
    example, *_ = re.findall(r"```json\n(.*?)```", README, flags=re.DOTALL)
    with checkout.api() as api:
        real = api.get("/endpoint-expiry", params={"EndpointName": FLAN}).json()
    assert list(json.loads(example)) == list(real)


def test_every_make_target_of_the_readme_exists() -> None:
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", README, flags=re.MULTILINE))
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, flags=re.MULTILINE))
    assert {"up", "test", "down", "plan", "deploy", "destroy", "check", "bench", "synth"} <= named
    assert named <= targets, named - targets
