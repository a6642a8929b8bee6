"""`make verify-aws` as a real program against the embedded AWS: what it tells, and that nothing
stays behind, however it ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local.simulator.lifecycle import Durations
from tests.contract.embedded_pair import ACCOUNT, Pair, running_pair
from tests.contract.emulator_process import ROOT
from tools.verify_aws import functions, limits
from tools.verify_aws.answers import Answer
from tools.verify_aws.aws import Aws
from tools.verify_aws.bench import Bench
from tools.verify_aws.kinds import PREFIX, leftovers
from tools.verify_aws.questions import QUESTIONS

COMMAND = (sys.executable, "-m", "tools.verify_aws")
PATIENCE_SECONDS = 120.0


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    durations = Durations(create_seconds=4, delete_seconds=0.5, update_seconds=1)
    with running_pair(tmp_path_factory.mktemp("aws"), durations) as running:
        yield running


@pytest.fixture(autouse=True)
def nothing_left(pair: Pair) -> Iterator[None]:
    """Each test leaves an account that holds nothing."""
    yield
    pair.simulator.clear_faults()
    assert everything(pair) == []


def everything(pair: Pair) -> list[str]:
    """All that is in the account, whatever its name."""
    sagemaker, listed = pair.client("sagemaker"), pair.client
    found = [
        *(e["EndpointName"] for e in sagemaker.list_endpoints()["Endpoints"]),
        *(c["EndpointConfigName"] for c in sagemaker.list_endpoint_configs()["EndpointConfigs"]),
        *(m["ModelName"] for m in sagemaker.list_models()["Models"]),
        *(f["FunctionName"] for f in listed("lambda").list_functions()["Functions"]),
        *(m["UUID"] for m in listed("lambda").list_event_source_mappings()["EventSourceMappings"]),
        *(g["logGroupName"] for g in listed("logs").describe_log_groups()["logGroups"]),
        *(m["name"] for m in listed("stepfunctions").list_state_machines()["stateMachines"]),
        *(a["name"] for a in listed("apigateway").get_rest_apis()["items"]),
        *(r["Name"] for r in listed("events").list_rules()["Rules"]),
        *listed("sqs").list_queues().get("QueueUrls", []),
        *(d["DashboardName"] for d in listed("cloudwatch").list_dashboards()["DashboardEntries"]),
        *(b["Name"] for b in listed("s3").list_buckets()["Buckets"]),
        *(r["RoleName"] for r in listed("iam").list_roles()["Roles"]),
    ]
    return [str(name) for name in found]


def run(pair: Pair, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=ROOT,
        env=pair.environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def rows(output: str) -> dict[str, str]:
    """The answer to each question, from the table."""
    ids = {question.id for question in QUESTIONS}
    lines = [line.split("  ") for line in output.partition("\nquestion ")[2].splitlines()]
    cells = [[cell.strip() for cell in line if cell.strip()] for line in lines]
    return {row[0]: row[1] for row in cells if row and row[0] in ids}


def eventually(look: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not look():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def started(pair: Pair, log: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """A run that waits for ever for its endpoint."""
    pair.fails("CreateEndpoint", "Stuck")
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*COMMAND, "--yes", "--only", "event-shape", *arguments],
            cwd=ROOT,
            env=pair.environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    sagemaker = pair.client("sagemaker")
    eventually(lambda: bool(sagemaker.list_endpoints()["Endpoints"]), "no endpoint is created")
    return process


def test_all_that_the_embedded_aws_can_answer_is_as_assumed(pair: Pair) -> None:
    done = run(pair, "--quick", "--yes")

    assert (done.returncode, done.stderr) == (0, "")
    assert rows(done.stdout) == {
        question.id: "as assumed" if question.embedded else "not asked" for question in QUESTIONS
    }
    assert f"The account is {ACCOUNT.account_id}, the region us-east-1." in done.stdout


def test_question_that_fails_ends_no_other_one(pair: Pair) -> None:
    pair.fails("CreateEndpointConfig", "ResourceLimitExceeded")

    done = run(pair, "--yes", "--only", "absent-endpoint", "--only", "busy-endpoint")

    assert done.returncode == 1
    assert rows(done.stdout) == {"absent-endpoint": "failed", "busy-endpoint": "as assumed"}


def test_answer_that_differs_is_told_with_the_words_of_aws(pair: Pair) -> None:
    pair.fails("DescribeEndpoint", "ValidationException")

    done = run(pair, "--yes", "--only", "absent-endpoint")

    assert done.returncode == 1
    assert rows(done.stdout) == {"absent-endpoint": "differs"}
    assert "describe: 'AwsRefused', and 'Gone' is assumed (AWS said: " in done.stdout
    assert "DescribeEndpoint failed with an injected ValidationException." in done.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_run_removes_what_it_made_however_often_it_is_interrupted(
    pair: Pair, tmp_path: Path, number: signal.Signals
) -> None:
    log = tmp_path / "log"
    process = started(pair, log)

    process.send_signal(number)
    eventually(lambda: "removing what was made" in log.read_text(), "no removal")
    process.send_signal(number)
    process.send_signal(number)
    eventually(lambda: "please wait" in log.read_text(), "no answer to the second signal")
    pair.simulator.clear_faults()  # the creation ends, so the endpoint can be deleted

    assert process.wait(PATIENCE_SECONDS) == 1
    assert "error: interrupted: the other questions were not asked" in log.read_text()
    assert "Traceback" not in log.read_text()


def test_leftovers_of_a_killed_run_are_removed_by_the_next_one(pair: Pair, tmp_path: Path) -> None:
    process = started(pair, tmp_path / "log")
    process.kill()
    process.wait()
    left = everything(pair)
    pair.simulator.clear_faults()

    done = run(pair, "--yes", "--only", "page-size")

    assert {"endpoint", "endpoint config", "model", "rule", "queue", "bucket", "role"} <= {
        line.partition("has left the ")[2].partition(f" {PREFIX}")[0]
        for line in done.stdout.splitlines()
    }
    assert len(left) >= 7
    assert (done.returncode, everything(pair)) == (0, [])


def test_nothing_of_others_is_a_leftover(pair: Pair) -> None:
    sqs, iam = pair.client("sqs"), pair.client("iam")
    url = sqs.create_queue(QueueName="endpoint-meter-verifying")["QueueUrl"]
    iam.create_role(RoleName="an-endpoint-meter-verify-role", AssumeRolePolicyDocument="{}")
    try:
        assert leftovers(account(pair)) == []
    finally:
        sqs.delete_queue(QueueUrl=url)
        iam.delete_role(RoleName="an-endpoint-meter-verify-role")


def test_what_cannot_be_removed_is_told_and_removed_by_the_next_run(pair: Pair) -> None:
    pair.fails("DeleteModel", "ResourceLimitExceeded")

    done = run(pair, "--yes", "--only", "tag-values")

    assert done.returncode == 1
    assert f"error: not removed: model {PREFIX}" in done.stderr
    assert run(pair, "--yes", "--only", "page-size").returncode == 0


def test_without_a_terminal_it_begins_only_if_told_so(pair: Pair) -> None:
    done = run(pair)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: nobody can be asked here whether to begin: add --yes\n"


def test_person_is_asked_and_may_refuse(pair: Pair) -> None:
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        COMMAND, cwd=ROOT, env=pair.environment, stdin=theirs, stdout=subprocess.PIPE, text=True
    )
    os.write(ours, b"n\n")
    told, _ = process.communicate(timeout=PATIENCE_SECONDS)
    os.close(ours)
    os.close(theirs)

    assert process.returncode == 2
    assert "takes about a minute here, and costs nothing" in told
    assert told.endswith("Begin? [y/N] ")


def test_credentials_that_do_not_work_are_told_before_anything_is_made(pair: Pair) -> None:
    wrong = {**pair.environment, "AWS_SECRET_ACCESS_KEY": "of-somebody-else"}

    done = subprocess.run(
        [*COMMAND, "--yes"], cwd=ROOT, env=wrong, capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout) == (2, "")
    assert "the AWS credentials do not work" in done.stderr


@pytest.mark.parametrize(
    ("ask", "seen"),
    [
        (functions.chain_that_is_allowed, {"hops": functions.HOPS}),
        (functions.invocation_of(1), {"status": 200, "returned": {"slept": 1}}),
        # The emulator has none of these limits.
        (limits.policies_of_a_role, {"a half": "taken", "all": "taken", "one more": "taken"}),
        (limits.alarms_of_a_widget, {"most": "taken", "one more": "taken"}),
    ],
    ids=["chain", "long invocation", "policies", "alarms"],
)
def test_question_for_a_real_account_can_be_asked_and_cleans_up(
    pair: Pair, ask: Callable[[Bench], Answer], seen: dict[str, object]
) -> None:
    told: list[str] = []

    with Bench(account(pair), f"{PREFIX}here", told.append) as bench:
        answer = ask(bench)

    assert bench.left == []
    assert {name: answer.seen[name] for name in seen} == seen


def account(pair: Pair) -> Aws:
    """The account as the program sees it."""

    class Session:
        """A session whose clients reach the embedded AWS."""

        def client(self, service: str, **options: object) -> object:
            return pair.client(service, **options)

        def get_partition_for_region(self, region: str) -> str:
            return pair.session.get_partition_for_region(region)

    return Aws(Session(), ACCOUNT.account_id, ACCOUNT.region)  # type: ignore[arg-type]
