"""Answers of models in another shape, such as the one that clients of the original expect."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from lambdas.core.invocation import Invocation, ModelAnswer
from lambdas.handlers.integration import Shape


def json_shape(shape: Callable[[Any, Any], Any]) -> Shape:
    """A shape for JSON: `shape` takes the documents of request and answer, and returns the document
    of the new answer. If it returns the same object, or if one of them is not JSON, the answer
    stays as it is, byte for byte."""

    def shaped(asked: Invocation, answer: ModelAnswer) -> ModelAnswer:
        try:
            request, document = json.loads(asked.body), json.loads(answer.body)
            other = shape(request, document)
            body = json.dumps(other, ensure_ascii=False).encode()
        except (ValueError, RecursionError):
            return answer
        return answer if other is document else replace(answer, body=body)

    return shaped
