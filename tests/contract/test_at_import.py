"""Lambda gives a full CPU while a function is imported: its clients are made then."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lambdas.core.settings import IntegrationSettings
from tests.contract.test_authorizer import POOL
from tests.function_settings import function_settings

ROOT = Path(__file__).parents[2]
QUEUES = ("https://sqs/1/starts", "https://sqs/1/work")
MADE = {
    "authorizer": {"dynamodb", "dynamodb_hasty"},
    "api": {
        "dynamodb",
        "dynamodb_once",
        "dynamodb_hasty",
        "s3",
        "sagemaker",
        "sagemaker_once",
        "sqs",
        "stepfunctions",
    },
    "calls": {
        "dynamodb",
        "dynamodb_once",
        "dynamodb_hasty",
        "functions_that_call_models",
        "sqs",
    },
    "tick": {"dynamodb", "dynamodb_once", "sqs"},
    "reconciler": {
        "dynamodb",
        "dynamodb_once",
        "functions",
        "sagemaker",
        "sagemaker_once",
        "sqs",
    },
    "sweep": {"dynamodb", "dynamodb_once", "sagemaker", "sagemaker_once", "sns", "sqs"},
    "adopter": {"sagemaker", "sagemaker_once"},
    "invoker": {"s3", "sagemaker_runtime"},
}
MADE_CLIENTS = """
import json
import sys
{statement}
from lambdas.aws import clients
caches = {{name: made for name, made in vars(clients).items() if hasattr(made, "cache_info")}}
print(json.dumps([name for name, made in caches.items() if made.cache_info().currsize]))
"""
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
}


def clients_after(statement: str, **environment: str) -> set[str]:
    """The clients that were made once a new process has done this."""
    done = subprocess.run(
        [sys.executable, "-c", MADE_CLIENTS.format(statement=statement)],
        env={"PATH": os.environ["PATH"], **environment},
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return {made for made in json.loads(done.stdout) if not made.startswith("_")}


@pytest.mark.parametrize("name", MADE)
def test_function_in_lambda_makes_its_clients_at_import(name: str) -> None:
    settings = function_settings(*QUEUES)[name].to_environment()
    statement = f"import lambdas.handlers.{name}"
    made = clients_after(statement, **settings, **CREDENTIALS, AWS_LAMBDA_FUNCTION_NAME=name)
    assert made == MADE[name]


def test_function_of_a_model_makes_its_client_at_import() -> None:
    settings = IntegrationSettings("falcon", "falcon", answer_within_seconds=28).to_environment()
    statement = "from lambdas.handlers.integration import integration; integration()"
    made = clients_after(statement, **settings, **CREDENTIALS, AWS_LAMBDA_FUNCTION_NAME="falcon")
    assert made == {"sagemaker_runtime"}


@pytest.mark.parametrize("name", MADE)
def test_function_is_imported_elsewhere_without_settings(name: str) -> None:
    assert clients_after(f"import lambdas.handlers.{name}") == set()


@pytest.mark.parametrize(("user_pool", "imported"), [("", False), (str(POOL), True)])
def test_jwts_are_prepared_for_where_there_is_a_user_pool(
    user_pool: str, *, imported: bool
) -> None:
    settings = function_settings(*QUEUES)["authorizer"].to_environment()
    lambdas = {**settings, "USER_POOL": user_pool, "AWS_LAMBDA_FUNCTION_NAME": "authorizer"}
    check = f"import lambdas.handlers.authorizer; assert ('jwt' in sys.modules) is {imported}"
    clients_after(check, **lambdas, **CREDENTIALS)
