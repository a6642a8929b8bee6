"""`python -m local.up`: from the config to a running API, only on this machine.

Environment: CONFIG (default configs/configs.json), LOCAL_PORT (default 8080), and for the SageMaker
simulator LOCAL_CREATE_SECONDS, LOCAL_DELETE_SECONDS, LOCAL_UPDATE_SECONDS and LOCAL_HUB_DOCUMENTS.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from client.loopback import reach_directly
from lambdas.aws import clients
from lambdas.aws.token_list import DynamoTokenList
from local import applied, boundary, embedded, front, tokens
from local.daemon import NotStartedError
from local.embedded import Embedded
from local.environment import without_aws
from local.front import Front
from local.one_at_a_time import taking_turns
from local.places import Places, here
from local.stack_file import StackFile
from local.steps import Step, Steps
from local.terraform_run import Terraform, TerraformFailedError
from tools import terraform_cli

STACK = Path("stacks") / "endpoint-manager"
OVERLAY = Path(__file__).resolve().with_name("overlay.json")
INTERRUPTED = 130
UNCHANGED = "Not needed: this stack was applied before, and its resources are there."
LOST = """\
Lost are: leases, holds and schedules that were set over the API, endpoints that were added over
it, what runs now, the history, and tokens of `make token`. The config is deployed anew."""
EXPECTED = (
    front.PortTakenError,
    NotStartedError,
    terraform_cli.TerraformMissing,
    TerraformFailedError,
)


class DeclinedError(Exception):
    """The user does not want to lose the state of the running stack."""


class SynthFailedError(Exception):
    """The config is wrong or the app failed. The app has already printed why."""


@dataclass(frozen=True)
class Up:
    """One run of `make up`."""

    places: Places
    environ: Mapping[str, str]

    def run(self) -> None:
        """Bring the stack up, or update it."""
        steps = Steps(count=6)
        with steps.step("check Terraform and the port"):
            binary = terraform_cli.require(self.environ)
            provision = terraform_cli.provision(without_aws(self.environ))
            gateway = Front(self.places, front.chosen_port(self.environ))
            gateway.require_port()
        with steps.step("synthesize the stack"):
            region = self._synthesize()
        self._agree_to_lose(region)
        with steps.step("start the embedded AWS") as step:
            pair, step.outcome = self._embedded(region)
        _reach_only(pair)
        terraform = Terraform(binary, provision.environment | pair.aws, self.places)
        with steps.step("terraform init") as step:
            outputs = applied.outputs(self.places)
            if outputs is None:
                terraform.take(self.places.synthesized / STACK)
                terraform.init()
            else:
                step.outcome = "not needed"
        with steps.step("terraform apply") as step:
            if outputs is None:
                outputs, step.outcome = self._apply(terraform, step)
            else:
                step.outcome = f"{UNCHANGED} To compare all of it: rm {self.places.applied}"
        with steps.step("tokens, gateway, health") as step:
            stack = self._open(gateway, pair, outputs)
            step.outcome = stack.api_url
        print(
            f"\nUp after {steps.seconds:.0f} s, without the set-up of the environment.\n"
            f"{what_next(stack, outputs)}"
        )

    def _synthesize(self) -> str:
        """Run main.py on the config with our overlay; returns the region of the stack."""
        chosen = self.environ.get("CONFIG") or self.places.root / "configs" / "configs.json"
        environment = without_aws(self.environ) | {
            "CONFIG_OVERLAY": str(OVERLAY),
            "CDKTF_OUTDIR": str(self.places.synthesized),
        }
        done = subprocess.run(
            [sys.executable, "-O", str(self.places.root / "main.py")], env=environment, check=False
        )
        if done.returncode:
            raise SynthFailedError
        if json.loads(Path(chosen).read_text(encoding="utf-8-sig")).get("provider"):
            print(f"Note: `provider` of {chosen} is ignored: the embedded AWS is its own account.")
        written = self.places.synthesized / STACK / "cdk.tf.json"
        stack = json.loads(written.read_text())
        if limit := boundary.stood_in(stack):
            written.write_text(json.dumps(stack))
            print(f"Note: in the embedded AWS a policy that allows everything stands for {limit}.")
        region: str = stack["provider"]["aws"][0]["region"]
        return region

    def _agree_to_lose(self, region: str) -> None:
        """Say why the state of the running stack would be lost, if so. On a terminal, ask first.

        Raises DeclinedError.
        """
        reason = embedded.lost(self.places, region, self.environ)
        if not reason or not self.places.stack_file.exists():
            return
        print(f"The embedded AWS has to start afresh: {reason}.\n{LOST}")
        if sys.stdin.isatty() and not _agreed("Start afresh? [y/N] "):
            raise DeclinedError("Nothing was changed. `make up` asks again, `make down` cleans up.")

    def _embedded(self, region: str) -> tuple[Embedded, str]:
        before = embedded.daemons(self.places)
        found = embedded.running(self.places, region, self.environ)
        if found is not None:
            if embedded.daemons(self.places).get("simulator") == before.get("simulator"):
                return found, "already running: its state is kept"
            applied.forget(self.places)  # it may lack what it had not written yet
            return found, "the SageMaker simulator had ended: it goes on with what it had accepted"
        restarted = self.places.terraform.exists()
        pair = embedded.start(self.places, region, self.environ)
        return pair, "started afresh: the earlier state is gone" if restarted else ""

    def _apply(self, terraform: Terraform, step: Step) -> tuple[Mapping[str, Any], str]:
        applied.forget(self.places)
        done = terraform.apply(step)
        applied.note(self.places, done.outputs)
        return done.outputs, done.summary

    def _open(self, gateway: Front, pair: Embedded, outputs: Mapping[str, Any]) -> StackFile:
        """Add the tokens, start the gateway and write the stack file."""
        both = tokens.kept(self.places.tokens)
        table = DynamoTokenList(clients.dynamodb_once(), outputs["auth_table_name"])
        tokens.enter(both, table, datetime.now(UTC))
        gateway.serve(outputs["api_url"], pair, self.environ)
        stack = StackFile(
            api_url=gateway.url,
            token=both.token,
            admin_token=both.admin_token,
            region=pair.region,
            aws_endpoint_url=pair.emulator_url,
            sagemaker_endpoint_url=pair.simulator_url,
            aws_access_key_id=pair.key.aws_access_key_id,
            aws_secret_access_key=pair.key.aws_secret_access_key,
            state_table=outputs["state_table_name"],
            auth_table=outputs["auth_table_name"],
            pids={name: found.pid for name, found in embedded.daemons(self.places).items()},
        )
        stack.write(self.places.stack_file)
        return stack


def _reach_only(pair: Embedded) -> None:
    """Let the clients of this process know the embedded AWS and no other."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ.update(pair.aws)
    reach_directly(os.environ)


def _agreed(question: str) -> bool:
    try:
        return input(question).strip().lower() in {"y", "yes"}
    except EOFError:  # Ctrl-D
        print()
        return False


def what_next(stack: StackFile, outputs: Mapping[str, Any]) -> str:
    """Return the address, a token and some calls to try."""
    call = f"curl -s -H 'Authorization: {stack.token}'"
    lines = [
        f"  API    {stack.api_url}",
        f"  token  {stack.token}  (.local/stack.json also has the admin token)",
        "Try:",
        f"  {call} {stack.api_url}/endpoint-expiry",
    ]
    for name in outputs["endpoint_names"][:1]:
        body = json.dumps({"EndpointName": name, "minutes": 5})
        lines.append(f"  {call} {stack.api_url}/endpoint-expiry -d '{body}'")
    return "\n".join([*lines, "Run `make up` again to apply changes, and `make down` to stop it."])


def main(places: Places) -> int:
    """Run, and turn errors into one line and an exit code."""
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # it is a text stream
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup ignores it
            signal.signal(number, signal.default_int_handler)
    try:
        with taking_turns(places):
            # The state of the stack and the logs are private to the user.
            places.home.mkdir(mode=0o700, exist_ok=True)
            places.home.chmod(0o700)
            Up(places, dict(os.environ)).run()
    except SynthFailedError:
        return 1
    except DeclinedError as declined:
        print(declined)
        return 1
    except EXPECTED as error:
        print(f"\nerror: {error}\nLogs: {places.logs}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(
            "\nInterrupted. `make up` starts again, `make down` cleans up.",
            file=sys.stderr,
        )
        return INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main(here()))
