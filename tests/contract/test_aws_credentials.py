"""Where AWS credentials are found, by real providers: files, a program, a container's and an EC2's
address, on which this test listens. The emulator says whose they are."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.contract.emulator_process import ROOT, Emulator, free_port, running_emulator

REQUIRE = """
import sys
from tools import aws_credentials
try:
    aws_credentials.require("us-east-1")
except aws_credentials.NoCredentials as problem:
    sys.exit(str(problem))
"""
EC2 = "/latest/meta-data/iam/security-credentials/"


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with running_emulator(tmp_path_factory.mktemp("emulator")) as running:
        yield running


@pytest.fixture(scope="module")
def keys(emulator: Emulator) -> Mapping[str, str]:
    """Keys that the emulator takes."""
    session = emulator.client("sts").get_session_token()["Credentials"]
    return {
        "AccessKeyId": session["AccessKeyId"],
        "SecretAccessKey": session["SecretAccessKey"],
        "Token": session["SessionToken"],
        "Expiration": "2999-01-01T00:00:00Z",
    }


@pytest.fixture(scope="module")
def metadata(keys: Mapping[str, str]) -> Iterator[str]:
    """The address of what answers as a container's and as EC2's metadata."""

    class Metadata(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            self.answer(b"token")

        def do_GET(self) -> None:
            role = {"Code": "Success", "Type": "AWS-HMAC", "LastUpdated": "", **keys}
            self.answer(b"role" if self.path == EC2 else json.dumps(role).encode())

        def answer(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Metadata) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def require(home: Path, **variables: str) -> str:
    """Why there are no credentials; '' where there are. Only `variables` are set."""
    done = subprocess.run(
        [sys.executable, "-c", REQUIRE],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HOME": str(home), "NO_PROXY": "127.0.0.1", **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert bool(done.returncode) == bool(done.stderr), done.stderr
    return done.stderr.strip()


def profile(home: Path, text: str) -> None:
    (home / ".aws").mkdir()
    (home / ".aws" / "config").write_text(text)


def program(keys: Mapping[str, str]) -> str:
    given = {"Version": 1, "SessionToken": keys["Token"], **keys}
    return f"credential_process = echo '{json.dumps(given)}'\n"


def test_without_credentials_it_says_how_to_give_them(tmp_path: Path) -> None:
    told = require(tmp_path, AWS_EC2_METADATA_DISABLED="true")
    assert told.startswith("there are no AWS credentials: set AWS_PROFILE")
    assert "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in told
    assert "\n" not in told


def test_where_nothing_answers_as_ec2_there_are_none(tmp_path: Path) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    told = require(tmp_path, AWS_EC2_METADATA_SERVICE_ENDPOINT=nowhere)
    assert told.startswith("there are no AWS credentials")


def test_a_role_of_ec2_counts(tmp_path: Path, emulator: Emulator, metadata: str) -> None:
    at = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata, "AWS_ENDPOINT_URL_STS": emulator.url}
    assert require(tmp_path, **at) == ""
    told = require(tmp_path, **at, AWS_EC2_METADATA_DISABLED="true")
    assert told.startswith("there are no AWS credentials")


def test_a_role_of_a_container_counts(tmp_path: Path, emulator: Emulator, metadata: str) -> None:
    at = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": metadata, "AWS_ENDPOINT_URL_STS": emulator.url}
    assert require(tmp_path, **at, AWS_EC2_METADATA_DISABLED="true") == ""


def test_a_web_identity_counts(tmp_path: Path, emulator: Emulator) -> None:
    """The emulator trusts no identity of the web. Its refusal shows that this one was found."""
    (tmp_path / "token").write_text("header.payload.signature")
    identity = {
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token"),
        "AWS_ROLE_ARN": emulator.role(),
        "AWS_ENDPOINT_URL_STS": emulator.url,
    }
    told = require(tmp_path, **identity, AWS_EC2_METADATA_DISABLED="true")
    assert "AssumeRoleWithWebIdentity" in told


def test_the_chosen_profile_counts(
    tmp_path: Path, emulator: Emulator, keys: Mapping[str, str]
) -> None:
    profile(tmp_path, f"[profile ours]\n{program(keys)}")
    chosen = {"AWS_ENDPOINT_URL_STS": emulator.url, "AWS_EC2_METADATA_DISABLED": "true"}
    assert require(tmp_path, **chosen, AWS_PROFILE="ours") == ""
    assert require(tmp_path, **chosen).startswith("there are no AWS credentials")
    assert "(theirs) could not be found" in require(tmp_path, **chosen, AWS_PROFILE="theirs")


def test_a_session_of_sso_that_is_over_says_to_sign_in_again(tmp_path: Path) -> None:
    profile(
        tmp_path,
        "[profile ours]\nsso_session = us\nsso_account_id = 123456789012\nsso_role_name = Admin\n"
        "[sso-session us]\nsso_region = us-east-1\nsso_start_url = https://example.com/start\n",
    )
    told = require(tmp_path, AWS_PROFILE="ours")
    assert told.startswith("the AWS credentials do not work")
    assert "aws sso login" in told


def test_a_profile_that_asks_for_a_code_is_refused_with_the_way_out(
    tmp_path: Path, keys: Mapping[str, str]
) -> None:
    role = "role_arn = arn:aws:iam::123456789012:role/x\nsource_profile = source\n"
    mfa = "mfa_serial = arn:aws:iam::123456789012:mfa/x\n"
    profile(tmp_path, f"[profile ours]\n{role}{mfa}[profile source]\n{program(keys)}")
    assert "export-credentials" in require(tmp_path, AWS_PROFILE="ours")


def test_half_a_pair_of_keys_is_told(tmp_path: Path) -> None:
    assert "AWS_SECRET_ACCESS_KEY" in require(tmp_path, AWS_ACCESS_KEY_ID="only-this")


def test_no_answer_of_aws_is_not_taken_for_wrong_credentials(tmp_path: Path) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    pair = {"AWS_ACCESS_KEY_ID": "made-up", "AWS_SECRET_ACCESS_KEY": "made-up"}
    told = require(tmp_path, **pair, AWS_ENDPOINT_URL_STS=nowhere)
    assert told.startswith("AWS does not answer")
