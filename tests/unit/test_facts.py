"""The facts about AWS on which this project rests: each has a source and a check that exists."""

from __future__ import annotations

import ast
import json
import tomllib
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tools.verify_aws.__main__ import ANSWERS
from tools.verify_aws.questions import QUESTIONS

ROOT = Path(__file__).resolve().parents[2]
FACTS: dict[str, dict[str, Any]] = tomllib.loads(
    (ROOT / "tests" / "facts" / "facts.toml").read_text(encoding="utf-8")
)
ASKED = "question: "
STATUSES = {"seen", "run", "likely", "check"}


@cache
def functions_of(file: str) -> frozenset[str]:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


def exists(check: str) -> bool:
    if check.startswith(ASKED):
        return check.removeprefix(ASKED) in {question.id for question in QUESTIONS}
    file, _, test = check.partition("::")
    return test.startswith("test_") and (ROOT / file).is_file() and test in functions_of(file)


@pytest.mark.parametrize("name", FACTS)
def test_fact_has_its_source_and_checks_that_exist(name: str) -> None:
    fact = FACTS[name]

    assert set(fact) == {"text", "source", "date", "status", "checks"}
    assert fact["text"]
    assert fact["source"]
    assert type(fact["date"]) is date
    assert fact["status"] in STATUSES
    assert fact["checks"]
    assert [check for check in fact["checks"] if not exists(check)] == []


@pytest.mark.parametrize("name", [name for name in FACTS if FACTS[name]["status"] == "check"])
def test_fact_that_nobody_has_seen_is_asked_on_a_real_account(name: str) -> None:
    assert any(check.startswith(ASKED) for check in FACTS[name]["checks"])


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: str(question.id))
def test_question_is_about_a_fact_and_names_the_file_that_rests_on_it(question: Any) -> None:
    about = [name for name in FACTS if f"{ASKED}{question.id}" in FACTS[name]["checks"]]

    assert len(about) == 1
    assert (ROOT / question.rests).is_file()


def test_check_that_does_not_exist_is_noticed() -> None:
    here = "tests/unit/test_facts.py"

    assert exists(f"{here}::test_check_that_does_not_exist_is_noticed")
    assert not exists(f"{here}::test_that_is_not_here")
    assert not exists("tests/unit/test_no_such_file.py::test_anything")
    assert not exists(f"{ASKED}no-such-question")


@pytest.mark.skipif(not ANSWERS.exists(), reason="no account was asked yet")
def test_account_that_was_asked_answered_as_the_facts_say() -> None:
    answers = json.loads(ANSWERS.read_text(encoding="utf-8"))
    known = {question.id for question in QUESTIONS}

    assert set(answers) <= known
    assert {name: answer["outcome"] for name, answer in answers.items()} == dict.fromkeys(
        answers, "as assumed"
    )
