"""Whether the account has room for reservations, asked of the emulator, whose account
may run 1,000 functions at once."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from constructs_lib.config.document import DeployConfig
from constructs_lib.config.file import parse
from tests.contract.emulator_process import ROOT, Emulator, free_port, running_emulator
from tools.concurrency import NoRoom, NotKnown, note_on_room, require_room

SHIPPED = json.loads((ROOT / "configs" / "configs.json").read_text())


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    scratch = tmp_path_factory.mktemp("emulator")
    with running_emulator(scratch, LAMBDA_ACCOUNT_CONCURRENCY="1000") as running:
        yield running


@pytest.fixture
def account(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client of Lambda; what is asked without one goes to the same account."""
    for name, value in emulator.key.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", emulator.url)
    return emulator.client("lambda")


def config(**fields: Any) -> DeployConfig:
    return parse({**SHIPPED, "reserved_concurrency": True, **fields})


def function(account: Any, role: str, name: str, *, reserved: int) -> None:
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("index.py", "def handler(event, context): return 1")
    account.create_function(
        FunctionName=name,
        Runtime="python3.13",
        Role=role,
        Handler="index.handler",
        Code={"ZipFile": code.getvalue()},
    )
    account.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=reserved)


def test_a_config_that_reserves_nothing_asks_nothing() -> None:
    require_room(config(reserved_concurrency=False), boto3.Session())


def test_what_fits_beside_the_hundred_that_lambda_keeps_is_let_through(account: Any) -> None:
    # 2 + 5 + 892 = 899 of 1000 - 100
    require_room(config(reconciler_concurrency=446), boto3.Session())


def test_what_does_not_fit_is_refused_with_the_number_and_the_ways_out(account: Any) -> None:
    with pytest.raises(NoRoom) as refused:
        require_room(config(reconciler_concurrency=447), boto3.Session())  # 901
    told = str(refused.value)
    assert "reserves 901 concurrent executions" in told
    assert "1 more than fit" in told
    for way_out in ("L-B99A9384", "lower `reconciler_concurrency`", "remove `reserved"):
        assert way_out in told


def test_what_the_stack_has_reserved_already_counts_for_it_and_what_others_have_does_not(
    account: Any, emulator: Emulator
) -> None:
    role = emulator.role()
    function(account, role, "demo-reconciler", reserved=600)
    function(account, role, "others", reserved=200)
    # 687 of 600 + 1000 - 800 - 100
    require_room(config(reconciler_concurrency=340), boto3.Session())
    with pytest.raises(NoRoom, match=r"687 .* 587 more than fit"):
        require_room(config(reconciler_concurrency=340, project_prefix="other"), boto3.Session())


def test_where_lambda_does_not_answer_it_is_not_known(
    account: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(NotKnown, match="whether `reserved_concurrency` fits is not known"):
        require_room(config(), boto3.Session())


@pytest.mark.parametrize(
    ("consumers", "advice"),
    [(4, "or set `reconciler_concurrency` to 2"), (2, "(Service Quotas, L-B99A9384)")],
)
def test_an_account_that_may_run_few_functions_is_told(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    consumers: int,
    advice: str,
) -> None:
    with running_emulator(
        tmp_path_factory.mktemp("small"), LAMBDA_ACCOUNT_CONCURRENCY="10"
    ) as small:
        for name, value in small.key.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_ENDPOINT_URL", small.url)
        note = note_on_room(config(reconciler_concurrency=consumers), boto3.Session())
    assert note
    assert "may run 10 functions at once in us-east-1" in note
    assert note.endswith(advice)


def test_an_account_with_the_usual_limit_is_told_nothing(account: Any) -> None:
    assert note_on_room(config(), boto3.Session()) is None
