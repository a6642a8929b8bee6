"""FastAPI under Mangum, with Powertools from the layer.

`guarded` answers warm-up calls. The application does the rest and calls its model with
`call_model`. `requirements.txt` adds FastAPI and Mangum to the zip.
"""

import json
from typing import Annotated

from aws_lambda_powertools import Logger
from fastapi import FastAPI, Request, Response
from mangum import Mangum
from pydantic import BaseModel, Field

from lambdas.core.errors import MeterError
from lambdas.core.invocation import Invocation
from lambdas.handlers.error_answers import answer_to
from lambdas.handlers.integration import call_model, guarded, settings

log = Logger()
app = FastAPI(
    title=settings().endpoint_name,
    servers=[{"url": f"/prod/{settings().route}"}],
    docs_url=None,  # browsers would open these pages, and they send no token
    redoc_url=None,
)


class Prompt(BaseModel):
    """What to write about, and how much."""

    prompt: Annotated[str, Field(min_length=1, max_length=10_000)]
    max_new_tokens: Annotated[int, Field(ge=1, le=2_048)] = 200


class Text(BaseModel):
    """What the model wrote."""

    text: str
    variant: str | None


@app.get("/ping")
def ping() -> dict[str, str]:
    """Check that the function answers. This does not call the model."""
    return {"status": "ok"}


@app.post("/generate")
def generate(prompt: Prompt) -> Text:
    """Let the model go on from a prompt."""
    body = {"inputs": prompt.prompt, "parameters": {"max_new_tokens": prompt.max_new_tokens}}
    invocation = Invocation(json.dumps(body).encode(), "application/json")
    answer = call_model(invocation)
    log.info("generated", variant=answer.variant, characters=len(answer.body))
    return Text(text=_generated(json.loads(answer.body)), variant=answer.variant)


@app.exception_handler(MeterError)
def error_response(request: Request, error: MeterError) -> Response:
    """If the model cannot be called now, answer with the same error as all routes."""
    request_id = request.scope["aws.event"]["requestContext"]["requestId"]
    reply = answer_to(error, request_id, changes=False, calls=request.method == "POST")
    return Response(reply["body"], reply["statusCode"], reply["headers"])


def _generated(document: object) -> str:
    """The text in an answer of TGI: an object, or a list of one. The echo model of the embedded
    SageMaker returns the request; its generated text is the prompt."""
    first = document[0] if isinstance(document, list) and document else document
    if not isinstance(first, dict):
        return str(first)
    return str(first.get("generated_text", first.get("inputs", "")))


handler = guarded(Mangum(app, lifespan="off", api_gateway_base_path=f"/{settings().route}"))
