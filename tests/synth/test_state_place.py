"""Whether Terraform has its state where the config says: the real one, with working data of its
own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from constructs_lib.config.document import DeployConfig
from constructs_lib.config.file import parse
from tests.synth.synthesis import FLAN, config_with
from tests.synth.terraform import Terraform
from tools.deployed_stack import WrongState
from tools.state_place import require_plain, require_same_backend

LOCAL = parse(config_with(FLAN))


def with_s3(key: str) -> DeployConfig:
    return parse(config_with(FLAN, backend={"type": "s3", "bucket": "states", "key": key}))


@pytest.mark.parametrize(
    ("variable", "value", "remedy"),
    [
        ("TF_WORKSPACE", "production", "unset TF_WORKSPACE"),
        ("TF_CLI_ARGS", "-no-color -state=/tmp/s", "take the option out"),
        ("TF_CLI_ARGS_plan", "--state=/tmp/s", "take the option out"),
        ("TF_CLI_ARGS_init", "-backend-config=key=other", "take the option out"),
        ("TF_CLI_ARGS_init", "-migrate-state -force-copy", "take the option out"),
    ],
)
def test_a_variable_that_leads_to_another_state_is_refused(
    tmp_path: Path, variable: str, value: str, remedy: str
) -> None:
    with pytest.raises(WrongState) as refused:
        require_plain({variable: value}, tmp_path)
    told = str(refused.value)
    assert told.startswith(f"{variable}={value} leads Terraform to another state")
    assert remedy in told


@pytest.mark.parametrize(
    "environ",
    [
        {"TF_WORKSPACE": ""},
        {"TF_WORKSPACE": "default"},
        {"TF_CLI_ARGS_plan": "-lock-timeout=60s -target=aws_dynamodb_table.state"},
    ],
    ids=["empty", "default", "other options"],
)
def test_other_settings_of_terraform_stay(tmp_path: Path, environ: dict[str, str]) -> None:
    require_plain(environ, tmp_path)


@pytest.mark.slow
def test_a_workspace_that_was_selected_is_refused_until_its_file_is_removed(tmp_path: Path) -> None:
    terraform = Terraform.at(tmp_path)
    terraform.take({})
    terraform.run("workspace", "new", "production")
    data = tmp_path / ".terraform"
    with pytest.raises(WrongState, match=r"the workspace in .*environment.*: remove this file"):
        require_plain({}, data)
    (data / "environment").unlink()
    require_plain({}, data)
    assert terraform.run("workspace", "show").strip() == "default"


@pytest.mark.slow
def test_another_place_of_the_state_is_refused_and_other_settings_begin_afresh(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "a" / "b" / "c"
    folder.mkdir(parents=True)
    data = tmp_path / "data"
    terraform = Terraform.at(folder)
    terraform = replace(terraform, environment={**terraform.environment, "TF_DATA_DIR": str(data)})

    def init(**settings: Any) -> None:
        local = {"path": f"../../../{LOCAL.state_file}", **settings}
        terraform.take({"terraform": {"backend": {"local": local}}})
        terraform.run("init", "-input=false")

    require_same_backend(LOCAL, data)
    init()
    with pytest.raises(WrongState) as refused:
        require_same_backend(with_s3("a.tfstate"), data)
    told = str(refused.value)
    assert f"had its state in {LOCAL.state_file}" in told
    assert "says s3://states/a.tfstate" in told

    assert "put `backend` back" in told
    require_same_backend(LOCAL, data)
    init(workspace_dir="spaces")

    memory = data / "terraform.tfstate"
    assert f"remove {memory}" in told
    memory.unlink()
    require_same_backend(with_s3("a.tfstate"), data)


def test_another_key_in_s3_is_another_place(tmp_path: Path) -> None:
    memory = tmp_path / "terraform.tfstate"
    backend = '{"backend": {"type": "s3", "config": {"bucket": "states", "key": "a.tfstate"}}}'
    memory.write_text(backend)
    with pytest.raises(WrongState, match=r"in s3://states/a.tfstate, .* says s3://states/b.tf"):
        require_same_backend(with_s3("b.tfstate"), tmp_path)
    require_same_backend(with_s3("a.tfstate"), tmp_path)
    assert not memory.exists()
