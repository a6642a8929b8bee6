"""README.md, and docs/walkthrough.md from top to bottom, as they stand."""

from __future__ import annotations

import json
import re
from typing import Any

from tests.e2e.calls import FLAN
from tests.e2e.checkout import ROOT, Checkout

README = (ROOT / "README.md").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()
WALKTHROUGH = (ROOT / "docs" / "walkthrough.md").read_text()
CONFIG = "jumpstart-example-model-inpainting-cfg"
MARK = "===answer==="
# What differs from run to run: of both answers only the form is compared.
FORMS = {
    "EndpointExpiry ": r"\d{2}-\d{2}-\d{4}-\d{2}-\d{2}-\d{2}",
    "TimeLeft": r"\d+:\d{2}:\d{2}\.\d{6}",
    "executionArn": r"arn:aws:states:us-east-1:000000000000:execution:demo-async:[-0-9a-f]{36,69}",
    "name": r"[-0-9a-f]{36,69}",
}
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


def test_the_calls_of_the_original_are_answered_as_shown(checkout: Checkout) -> None:
    a_config_that_exists(checkout)
    with checkout.api() as api:  # the lease of the first deploy may have been ended by now
        renewal = {"EndpointName": "demo-Falcon40B-Endpoint", "minutes": 5}
        api.post("/endpoint-expiry", json=renewal).raise_for_status()
    parts = re.findall(r"```(sh|json)\n(.*?)```", WALKTHROUGH, flags=re.DOTALL)
    commands = "\n".join(text for kind, text in parts if kind == "sh")
    script = re.sub(r"^curl ", f"curl -sS -w '\\\\n{MARK}\\\\n' ", commands, flags=re.MULTILINE)
    done = checkout.command(["bash", "-c", f"set -euo pipefail\n{script}"])
    assert done.returncode == 0, done.stdout + done.stderr
    answers = [json.loads(text) for text in done.stdout.split(MARK)[:-1]]
    examples = [json.loads(text) for kind, text in parts if kind == "json"]
    assert len(answers) == len(examples) > 8
    for example, answer in zip(examples, answers, strict=True):
        require_alike(example, answer, "")


def a_config_that_exists(checkout: Checkout) -> None:
    """As somebody made it in SageMaker."""
    sagemaker = checkout.client("sagemaker")
    sagemaker.create_model(
        ModelName="inpainting",
        PrimaryContainer={"Image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/inpainting:1"},
        ExecutionRoleArn="arn:aws:iam::000000000000:role/inpainting",
    )
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": "inpainting",
        "InstanceType": "ml.g5.2xlarge",
        "InitialInstanceCount": 1,
    }
    sagemaker.create_endpoint_config(EndpointConfigName=CONFIG, ProductionVariants=[variant])


def require_alike(example: Any, answer: Any, where: str) -> None:
    """All of the example is in the answer."""
    if isinstance(example, dict):
        assert isinstance(answer, dict), (where, answer)
        for key, value in example.items():
            assert key in answer, (where, key, answer)
            require_alike(value, answer[key], f"{where}.{key}")
        return
    if isinstance(example, list):
        names = [entry.get("EndpointName") for entry in answer]
        for entry in example:
            found = answer[names.index(entry["EndpointName"])] if None not in names else answer[0]
            require_alike(entry, found, f"{where}[]")
        return
    form = FORMS.get(where.rpartition(".")[2])
    if form:
        assert re.fullmatch(form, example), (where, example)
        assert re.fullmatch(form, answer), (where, answer)
    elif where in (".input", ".output"):
        assert json.loads(answer) == json.loads(example)
    elif where.endswith("Date"):
        assert isinstance(answer, float), (where, answer)
        assert answer > 1_700_000_000
    else:
        assert answer == example, where
