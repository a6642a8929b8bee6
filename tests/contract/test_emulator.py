"""The process of the emulator: its MiniStack version, where it listens, what it leaves behind."""

import signal
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import httpx
import pytest
from botocore.awsrequest import AWSPreparedRequest

from constructs_lib.policy import trust_document
from local.emulator.pinned import MINISTACK_VERSION, WrongMinistackError, require_pinned_version
from local.emulator.server import settings
from tests.contract.emulator_process import Emulator, running_emulator
from tests.contract.listeners import listening
from tests.roles import a_function

QUIET = "def handler(event, context):\n    return {}\n"


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[Emulator]:
    with running_emulator(tmp_path) as running:
        yield running


def test_the_pinned_version_is_the_one_installed() -> None:
    require_pinned_version()


def test_another_version_is_refused_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "version", lambda _: "9.9.9")

    with pytest.raises(WrongMinistackError, match=rf"9\.9\.9.*=={MINISTACK_VERSION}"):
        require_pinned_version()


def test_a_missing_emulator_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)

    with pytest.raises(WrongMinistackError, match="needs ministack=="):
        require_pinned_version()


def test_nothing_listens_beyond_loopback(tmp_path: Path) -> None:
    with running_emulator(tmp_path) as emulator:
        assert listening(emulator.process.pid) == {f"127.0.0.1:{emulator.port}"}


def test_docker_and_persistence_are_switched_off() -> None:
    chosen = settings(4566)

    assert chosen["DOCKER_HOST"] == "unix:///nonexistent"
    assert (chosen["PERSIST_STATE"], chosen["S3_PERSIST"]) == ("0", "0")


def test_keys_that_sign_tokens_of_users_are_in_no_file(emulator: Emulator, tmp_path: Path) -> None:
    cognito = emulator.client("cognito-idp")
    pool = cognito.create_user_pool(PoolName="users")["UserPool"]["Id"]

    keys = httpx.get(f"{emulator.url}/{pool}/.well-known/jwks.json").json()["keys"]

    assert len(keys) == 2
    shared = Path("/tmp/ministack-state")  # noqa: S108  # where MiniStack would keep them
    for folder in (shared, tmp_path):
        assert not list(folder.rglob(f"*{pool}*"))


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_workers_of_functions_end_with_the_emulator(tmp_path: Path, end: signal.Signals) -> None:
    with running_emulator(tmp_path) as emulator:
        worker = a_warm_worker(emulator, tmp_path)
        emulator.process.send_signal(end)
        emulator.process.wait(10)

        assert gone_within(worker, seconds=3)


def a_warm_worker(emulator: Emulator, scratch: Path) -> int:
    """The pid of the process that ran a function, found by its script in the scratch folder."""
    emulator.client("lambda").invoke(
        FunctionName=a_function(emulator.client("lambda"), emulator.role(), QUIET)
    )
    command_lines = {
        int(path.parent.name): path.read_bytes().decode()
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if path.exists()
    }
    (worker,) = (
        pid for pid, line in command_lines.items() if f"{scratch}/ministack-lambda" in line
    )
    return worker


def gone_within(pid: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not Path(f"/proc/{pid}").exists():
            return True
        time.sleep(0.05)
    return False


def test_call_that_an_sdk_repeats_has_one_effect_and_one_answer(emulator: Emulator) -> None:
    iam = emulator.client("iam")

    def same_call(request: AWSPreparedRequest, **_: object) -> None:
        request.headers["amz-sdk-invocation-id"] = "the same for all attempts"

    iam.meta.events.register("before-send.iam.CreateRole", same_call)
    role = {"RoleName": "once", "AssumeRolePolicyDocument": trust_document("lambda.amazonaws.com")}
    first = iam.create_role(**role)
    assert iam.create_role(**role)["Role"]["RoleId"] == first["Role"]["RoleId"]
    iam.meta.events.unregister("before-send.iam.CreateRole", same_call)
    with pytest.raises(iam.exceptions.EntityAlreadyExistsException):
        iam.create_role(**role)


def test_call_that_failed_is_tried_again(emulator: Emulator) -> None:
    iam = emulator.client("iam")

    def same_call(request: AWSPreparedRequest, **_: object) -> None:
        request.headers["amz-sdk-invocation-id"] = "of a call that fails first"

    iam.meta.events.register("before-send.iam.DeleteRole", same_call)
    with pytest.raises(iam.exceptions.NoSuchEntityException):
        iam.delete_role(RoleName="later")
    document = trust_document("lambda.amazonaws.com")
    iam.create_role(RoleName="later", AssumeRolePolicyDocument=document)
    iam.delete_role(RoleName="later")
