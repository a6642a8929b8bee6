"""Answers `{"inputs": prompt, "parameters": {…}}` with `[{"generated_text": text}]`.

Depending on its version, the container answers with a list, an object or a text. The echo model of
the embedded SageMaker returns the request; its generated text is the prompt. Other requests and
answers pass unchanged.
"""

from typing import Any

from lambdas.handlers.integration import integration
from lambdas.handlers.shapes import json_shape


def shape(request: Any, answer: Any) -> Any:
    """The answer in the form that callers of the original product expect."""
    if not isinstance(request, dict) or not isinstance(request.get("inputs"), str):
        return answer
    if answer == request:
        return [{"generated_text": request["inputs"]}]
    if isinstance(answer, str):
        return [{"generated_text": answer}]
    if isinstance(answer, dict) and "generated_text" in answer:
        return [answer]
    return answer


handler = integration(json_shape(shape))
