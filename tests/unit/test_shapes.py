"""How answers of falcon's and flan's containers are made to look like the original's."""

from __future__ import annotations

from typing import Any

import pytest

from functions.falcon import index as falcon
from functions.flan import index as flan
from lambdas.core.invocation import Invocation, ModelAnswer
from lambdas.handlers.shapes import json_shape

PROMPT = {"inputs": "Why?", "parameters": {"max_new_tokens": 20}}
STORY = {"text_inputs": "Why?", "max_length": 50}


@pytest.mark.parametrize(
    ("answer", "shaped"),
    [
        ([{"generated_text": "So."}], [{"generated_text": "So."}]),
        ({"generated_text": "So."}, [{"generated_text": "So."}]),
        ("So.", [{"generated_text": "So."}]),
        (PROMPT, [{"generated_text": "Why?"}]),
        ({"error": "no"}, {"error": "no"}),
    ],
)
def test_falcon_answers_with_a_list_of_generated_texts(answer: Any, shaped: Any) -> None:
    assert falcon.shape(PROMPT, answer) == shaped


@pytest.mark.parametrize(
    ("answer", "shaped"),
    [
        ({"generated_texts": ["So."]}, {"generated_texts": ["So."]}),
        (
            [{"generated_text": "So."}, {"generated_text": "No."}],
            {"generated_texts": ["So.", "No."]},
        ),
        ({"generated_text": "So."}, {"generated_texts": ["So."]}),
        ("So.", {"generated_texts": ["So."]}),
        (STORY, {"generated_texts": ["Why?"]}),
        ([], []),
        ([1], [1]),
    ],
)
def test_flan_answers_with_generated_texts(answer: Any, shaped: Any) -> None:
    assert flan.shape(STORY, answer) == shaped


@pytest.mark.parametrize("shape", [falcon.shape, flan.shape])
@pytest.mark.parametrize("request_", [None, [], "text", {"inputs": 5}, {"text_inputs": 5}, {}])
def test_other_requests_get_the_models_own_answer(shape: Any, request_: Any) -> None:
    answer = {"generated_text": "So."}
    assert shape(request_, answer) is answer


@pytest.mark.parametrize("body", [b"\xff", b"{", b'"\\ud800"', b"[" * 100_000])
def test_answer_that_is_not_json_is_returned_unchanged(body: bytes) -> None:
    answer = ModelAnswer(body, "text/plain")
    assert json_shape(lambda _request, document: [document])(Invocation(b"{}"), answer) is answer
