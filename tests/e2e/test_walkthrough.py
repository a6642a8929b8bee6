"""docs/walkthrough.md, run from top to bottom as it stands."""

from __future__ import annotations

import json
import re
from typing import Any

from tests.e2e.checkout import ROOT, Checkout

PAGE = (ROOT / "docs" / "walkthrough.md").read_text()
CONFIG = "jumpstart-example-model-inpainting-cfg"
MARK = "===answer==="
# What differs from run to run: of both answers only the form is compared.
FORMS = {
    "EndpointExpiry ": r"\d{2}-\d{2}-\d{4}-\d{2}-\d{2}-\d{2}",
    "TimeLeft": r"\d+:\d{2}:\d{2}\.\d{6}",
    "executionArn": r"arn:aws:states:us-east-1:000000000000:execution:demo-async:[-0-9a-f]{36,69}",
    "name": r"[-0-9a-f]{36,69}",
}


def test_the_calls_of_the_original_are_answered_as_shown(checkout: Checkout) -> None:
    a_config_that_exists(checkout)
    with checkout.api() as api:  # the lease of the first deploy may have been ended by now
        renewal = {"EndpointName": "demo-Falcon40B-Endpoint", "minutes": 5}
        api.post("/endpoint-expiry", json=renewal).raise_for_status()
    parts = re.findall(r"```(sh|json)\n(.*?)```", PAGE, flags=re.DOTALL)
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
