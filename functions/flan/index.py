"""Answers `{"text_inputs": prompt, "max_length": …}` with `{"generated_texts": [text, …]}`.

Containers answer in different forms. The echo model of the embedded SageMaker returns the request;
its generated text is the prompt. Other requests and answers pass unchanged.
"""

from typing import Any

from lambdas.handlers.integration import integration
from lambdas.handlers.shapes import json_shape


def shape(request: Any, answer: Any) -> Any:
    """The answer in the form that callers of the original product expect."""
    if not isinstance(request, dict) or not isinstance(request.get("text_inputs"), str | list):
        return answer
    if answer == request:
        return {"generated_texts": _listed(request["text_inputs"])}
    if isinstance(answer, str):
        return {"generated_texts": [answer]}
    if isinstance(answer, dict) and "generated_text" in answer:
        return {"generated_texts": _listed(answer["generated_text"])}
    if isinstance(answer, list) and answer and all(_is_generated(each) for each in answer):
        return {"generated_texts": [each["generated_text"] for each in answer]}
    return answer


def _is_generated(document: Any) -> bool:
    return isinstance(document, dict) and "generated_text" in document


def _listed(text: Any) -> list[Any]:
    return text if isinstance(text, list) else [text]


handler = integration(json_shape(shape))
