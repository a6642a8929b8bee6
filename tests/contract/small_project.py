"""A stand-in for the project that is quick to apply: one API with a mock, one table of tokens."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.places import Places
from local.processes import Process, ours
from local.stack_file import StackFile
from tests.contract.emulator_process import ROOT, free_port

# The app: it checks its config and writes the Terraform JSON, as the real one does.
APP = """
import json, os, pathlib, sys
config = json.loads(pathlib.Path(os.environ["CONFIG"]).read_text())
assert json.loads(pathlib.Path(os.environ["CONFIG_OVERLAY"]).read_text())
assert not [name for name in os.environ if name.startswith("AWS_")]
if "mistake" in config:
    sys.exit(config["mistake"])
stack = pathlib.Path(os.environ["CDKTF_OUTDIR"], "stacks", "endpoint-manager")
stack.mkdir(parents=True, exist_ok=True)
(stack / "cdk.tf.json").write_text(json.dumps(config["stack"]))
"""
UP = """
import pathlib, sys
from local.places import Places
from local.{command} import main
sys.exit(main(Places(pathlib.Path(sys.argv[1]))))
"""


@dataclass(frozen=True)
class SmallProject:
    """A folder with the stand-in; `make up` and `make down` run on it as processes."""

    places: Places
    port: int

    def configure(self, **config: Any) -> None:
        """Write the config: a `stack` in Terraform JSON, or a `mistake` that the app reports."""
        (self.places.root / "config.json").write_text(json.dumps({"stack": small_stack()} | config))

    def command(
        self,
        command: str,
        environ: Mapping[str, str] | None = None,
        stdin: int = subprocess.DEVNULL,
    ) -> subprocess.Popen[str]:
        """Start `up` or `down`."""
        chosen = {"CONFIG": str(self.places.root / "config.json"), "LOCAL_PORT": str(self.port)}
        return subprocess.Popen(
            [sys.executable, "-c", UP.format(command=command), str(self.places.root)],
            cwd=ROOT,
            env=dict(os.environ) | chosen | dict(environ or {}),
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, command: str, environ: Mapping[str, str] | None = None) -> tuple[int, str]:
        """Run `up` or `down` to its end; returns the exit code and everything it printed."""
        process = self.command(command, environ)
        output, _ = process.communicate(timeout=300)
        return process.returncode, output

    def up(self) -> tuple[StackFile, str]:
        """Run `up`, which must succeed; returns the stack file and the output."""
        code, output = self.run("up")
        assert code == 0, output
        return self.stack, output

    @property
    def stack(self) -> StackFile:
        return StackFile.read(self.places.stack_file)

    def processes(self) -> list[Process]:
        """Return the processes that run for it."""
        return ours(self.places)


def small_project(root: Path) -> SmallProject:
    """Create the stand-in in an empty folder."""
    (root / "main.py").write_text(APP)
    project = SmallProject(Places(root), free_port())
    project.configure()
    return project


def small_stack(seconds: float = 0, **resources: Any) -> dict[str, Any]:
    """Return a stack whose apply takes `seconds` longer than necessary."""
    health = {"rest_api_id": "${aws_api_gateway_rest_api.api.id}"}
    method = health | {
        "resource_id": "${aws_api_gateway_resource.health.id}",
        "http_method": "${aws_api_gateway_method.health.http_method}",
    }
    root = "${aws_api_gateway_rest_api.api.root_resource_id}"
    answer = {"status_code": "${aws_api_gateway_method_response.health.status_code}"}
    sleep = {"command": f"sleep {seconds}"}
    return {
        "terraform": {
            "required_providers": {"aws": {"source": "hashicorp/aws", "version": "~> 5.100.0"}},
            # The state of a real deployment, which must not be touched.
            "backend": {"local": {"path": "../../real.tfstate"}},
        },
        "provider": {"aws": [{"region": "eu-west-1"}]},
        "resource": {
            "aws_dynamodb_table": {
                "auth": {
                    "name": "auth",
                    "billing_mode": "PAY_PER_REQUEST",
                    "hash_key": "token",
                    "attribute": [{"name": "token", "type": "S"}],
                }
            },
            "aws_api_gateway_rest_api": {"api": {"name": "small"}},
            "aws_api_gateway_resource": {
                "health": health | {"parent_id": root, "path_part": "health"}
            },
            "aws_api_gateway_method": {
                "health": {**method, "http_method": "GET", "authorization": "NONE"}
            },
            "aws_api_gateway_method_response": {"health": method | {"status_code": "200"}},
            "aws_api_gateway_integration": {
                "health": method
                | {"type": "MOCK", "integration_http_method": "GET"}
                | {"request_templates": {"application/json": '{"statusCode": 200}'}}
            },
            "aws_api_gateway_integration_response": {
                "health": method
                | answer
                | {"response_templates": {"application/json": '{"status": "ok"}'}}
                | {"depends_on": ["aws_api_gateway_integration.health"]}
            },
            "aws_api_gateway_deployment": {
                "api": health | {"depends_on": ["aws_api_gateway_integration_response.health"]}
            },
            "aws_api_gateway_stage": {
                "prod": health
                | {"stage_name": "prod", "deployment_id": "${aws_api_gateway_deployment.api.id}"}
                # The emulator invents settings if there are none.
                | {"lifecycle": {"ignore_changes": ["access_log_settings"]}}
            },
            "terraform_data": {
                "slow": {"input": seconds, "provisioner": [{"local-exec": [sleep]}]}
            },
        }
        | resources,
        "output": {
            "api_url": {"value": "${aws_api_gateway_stage.prod.invoke_url}"},
            "state_table_name": {"value": "state"},
            "auth_table_name": {"value": "${aws_dynamodb_table.auth.name}"},
            "endpoint_names": {"value": ["demo-One-Endpoint"]},
        },
    }
