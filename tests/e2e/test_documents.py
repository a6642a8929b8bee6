"""The commands of the documents, as they stand there: each document's blocks of one name are one
script, and the answers that a document shows are compared with the real ones."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.contract.emulator_process import free_port
from tests.e2e.checkout import Checkout
from tests.markdown import Asked, documents

FALCON, FLAN = "demo-Falcon40B-Endpoint", "demo-FlanT5-Endpoint"
BLOCK, ANSWER = "===block===", "===answer==="
SCRIPTS: Mapping[tuple[str, str], Sequence[Asked]] = {
    (document.name, name): script
    for document in documents()
    for name, script in document.scripts().items()
}
WITHOUT_STACK = {
    ("CONTRIBUTING.md", "contributing"),
    ("docs/configuration.md", "lock"),
    ("docs/operations.md", "policy"),
    ("docs/operations.md", "synth"),
}
"""They need the files of the project alone, some of which they change."""
READ_FIRST = {"README.md", "docs/getting-started.md"}
"""Documents that most people follow: `make test` runs them, `make prove` all others."""
IN_SERVICE = f"""\
until curl -s "$API/endpoint-expiry?EndpointName={FLAN}" -H "Authorization: $TOKEN" | grep InService
do sleep 0.2; done > /dev/null"""
# What differs from run to run: of both answers only the form is compared.
INSTANT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"
ARN = r"arn:aws:states:us-east-1:000000000000:execution:demo-async:[-0-9a-f]{36,69}"
FORMS = {
    "EndpointExpiry": r"\d{2}-\d{2}-\d{4}-\d{2}-\d{2}-\d{2}",
    "EndpointExpiry ": r"\d{2}-\d{2}-\d{4}-\d{2}-\d{2}-\d{2}",
    "EndpointConfigName": r"[\w-]+",
    "ExpiresAt": INSTANT,
    "LeaseExpiresAt": INSTANT,
    "NextTransition": INSTANT,
    "Reason": r"(being created: )?the lease is paid until .+",
    "TimeLeft": r"\d+:\d{2}:\d{2}\.\d{6}",
    "executionArn": ARN,
    "lastReconcile": INSTANT,
    "lastTick": INSTANT,
    "name": r"[-0-9a-f]{36,69}",
    "requestId": r"\S+",
    "tzdata": r"20\d\d[a-z]",
}
OF_ANY_KIND = {
    "SecondsLeft",
    "Status",
    "ServedConfigName",
    "lastSweep",
    "lastSageMaker",
    "lastTick",
    "lastReconcile",
}
"""Null or not, and which word, depends on what happened before."""


def lease(checkout: Checkout) -> None:
    """The lease of the first deploy may have been ended by now."""
    with checkout.api() as api:
        renewal = {"EndpointName": FALCON, "minutes": 5}
        api.post("/endpoint-expiry", json=renewal).raise_for_status()


BEFORE: Mapping[tuple[str, str], Callable[[Checkout], None]] = {
    ("docs/moving-over.md", "calls of the original"): lease,
}


def tried(scripts: Iterable[tuple[str, str]]) -> list[pytest.ParameterSet]:
    """Parameters of a test that runs these scripts."""
    return [
        pytest.param(
            script,
            id=" ".join(script),
            marks=() if script[0] in READ_FIRST else pytest.mark.prove,
        )
        for script in sorted(scripts)
    ]


@pytest.mark.parametrize("script", tried(set(SCRIPTS) - WITHOUT_STACK))
def test_commands_work_on_the_stack_as_they_are_written(
    checkout: Checkout, script: tuple[str, str]
) -> None:
    if script in BEFORE:
        BEFORE[script](checkout)
    answered = run(checkout, SCRIPTS[script])
    if script == ("README.md", "tour"):
        require_the_tour(answered, json.loads(SCRIPTS[script][2].answers[0].text))
    if script == ("docs/rest-api.md", "rest-api"):
        first, again = answered[1]  # the block before is that of sessions
        assert again == first, "an Idempotency-Key pays once"


@pytest.mark.parametrize("script", tried(WITHOUT_STACK))
def test_commands_work_in_the_project_as_they_are_written(
    tmp_path: Path, script: tuple[str, str]
) -> None:
    run(Checkout.copy_to(tmp_path / "project"), SCRIPTS[script])


def run(checkout: Checkout, script: Sequence[Asked]) -> Sequence[Sequence[Any]]:
    """Run the blocks as one script; returns the answers to the calls of each block, after they
    were compared with those that are shown."""
    port = str(free_port())
    lines = ["set -euo pipefail", "trap 'kill $(jobs -p) 2> /dev/null || true' EXIT"]
    for asked in script:
        text = asked.block.text.replace("9000", port)
        text = text.replace("sleep 5", IN_SERVICE)  # however busy the machine is
        calls = f"curl -sS --fail-with-body -w '\\\\n{ANSWER}\\\\n' "
        if '"error"' in "".join(answer.text for answer in asked.answers):
            calls = calls.replace("--fail-with-body ", "")
        calls = calls if "--fail " not in text else calls.replace("--fail-with-body ", "")
        lines += [f"echo '{BLOCK}'", re.sub(r"^curl ", calls, text, flags=re.MULTILINE)]
    done = checkout.command(["bash", "-c", "\n".join(lines)])
    assert done.returncode == 0, told(done)
    outputs = done.stdout.split(f"{BLOCK}\n")[1:]
    assert len(outputs) == len(script), told(done)
    answered = []
    for asked, output in zip(script, outputs, strict=True):
        answers = [json.loads(text) for text in output.split(ANSWER)[:-1] if text.strip()]
        answered.append(answers)
        if asked.answers:
            assert len(answers) == len(asked.answers), (asked.block.where, output)
            for example, answer in zip(asked.answers, answers, strict=True):
                require_alike(json.loads(example.text), answer, "")
    return answered


def told(done: subprocess.CompletedProcess[str]) -> str:
    return f"{done.stdout[-4000:]}\n{done.stderr[-4000:]}"


def require_the_tour(answered: Sequence[Sequence[Any]], example: Mapping[str, Any]) -> None:
    (listed,), (renewed,), (running,), (answer,), (stopped, events) = answered[1:]
    assert FLAN in {entry["EndpointName"] for entry in listed}
    assert list(renewed) == list(example), "the example shows every field"
    assert running["Status"] == "InService"
    assert answer["max_length"] == 50
    assert stopped["Wanted"] == "stopped"
    assert {"renewed", "stopped"} <= {event["Event"] for event in events}


def require_alike(example: Any, answer: Any, where: str) -> None:
    """All of the example is in the answer."""
    name = where.rpartition(".")[2]
    if isinstance(example, dict):
        assert isinstance(answer, dict), (where, answer)
        for key, value in example.items():
            assert key in answer, (where, key, answer)
            require_alike(value, answer[key], f"{where}.{key}")
        return
    if isinstance(example, list):
        require_list_alike(example, answer, where)
        return
    if name in OF_ANY_KIND:
        return
    form = FORMS.get(name)
    if form and isinstance(example, str):
        assert re.fullmatch(form, example), (where, example)
        assert re.fullmatch(form, answer), (where, answer)
    elif where in (".input", ".output"):
        assert json.loads(answer) == json.loads(example)
    elif where.endswith("Date"):
        assert isinstance(answer, float), (where, answer)
        assert answer > 1_700_000_000
    else:
        assert answer == example, where


def require_list_alike(example: list[Any], answer: list[Any], where: str) -> None:
    names = [entry.get("EndpointName") for entry in answer]
    assert bool(answer) >= bool(example), (where, answer)
    for entry in example:
        found = answer[names.index(entry["EndpointName"])] if None not in names else answer[0]
        require_alike(entry, found, f"{where}[]")
