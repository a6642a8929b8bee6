"""`{"inputs": prompt, "parameters": {…}}` is answered with `[{"generated_text": text}]`.

Which of a list, an object or a text the container gives depends on its version; a container that
gives the request back, as the embedded SageMaker's does, has generated its prompt. Other requests
and answers pass as they are.
"""

from typing import Any

from lambdas.handlers.integration import integration
from lambdas.handlers.shapes import json_shape


def shape(request: Any, answer: Any) -> Any:
    """The answer as callers of the original know it."""
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
