"""Answers of models in the shapes that callers of the original know."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from lambdas.core.invocation import Invocation, ModelAnswer
from lambdas.handlers.integration import Shape


def json_shape(shape: Callable[[Any, Any], Any]) -> Shape:
    """Shapes JSON documents: `shape` takes the request and the answer and returns another answer,
    or the same object to leave it alone, byte for byte. What is no JSON is left alone too."""

    def shaped(asked: Invocation, answer: ModelAnswer) -> ModelAnswer:
        try:
            request, document = json.loads(asked.body), json.loads(answer.body)
            other = shape(request, document)
            body = json.dumps(other, ensure_ascii=False).encode()
        except (ValueError, RecursionError):
            return answer
        return answer if other is document else replace(answer, body=body)

    return shaped
