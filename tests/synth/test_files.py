"""Files as people have them: read, or refused in one sentence. Never a traceback."""

from __future__ import annotations

import codecs
import json
import random
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

import main
from client import stacks
from constructs_lib import provider_lock
from constructs_lib.bundle import BundleFailed, locked_requirements
from constructs_lib.config.file import load, parse
from constructs_lib.config.problems import InvalidConfig
from constructs_lib.integration_packages import integration_packages, notes_on_requirements
from constructs_lib.models_lock import ModelsLock
from constructs_lib.text_file import NotText, unicode, utf_8
from tests.synth.synthesis import COMBINED, FLAN, config_with
from tools.deployed_stack import Source, WrongState
from tools.terraform_cli import TerraformMissing, users_config

FILES_OF_A_KIND = 185
CONFIG = config_with(
    {
        **FLAN,
        "integration": {
            "type": "lambda",
            "properties": {"lambda_src": "functions/ours", "api_resource_name": "flan"},
        },
    }
)
HANDLER = b"# -*- coding: utf-8 -*-\ndef handler(event, context):\n    return 'caf\xc3\xa9'\n"
REQUIREMENTS = b"# what ours needs\nrequests==2.32.3\nidna>=3 ; python_version > '3.9'\n"
LOCAL = {
    "aws_endpoint_url": "http://127.0.0.1:1",
    "sagemaker_endpoint_url": "http://127.0.0.1:2",
    "aws_access_key_id": "AKIA",
    "aws_secret_access_key": "x",
    "auth_table": "auth",
    "region": "us-east-1",
}
SYNTHESIZED = {
    "provider": {"aws": [{"region": "us-east-1"}]},
    "output": {"auth_table_name": {"value": "auth"}},
}
HASHES = "".join(f'    "h1:{number}=",\n' for number in range(4))
PROVIDER = (
    'provider "registry.terraform.io/hashicorp/aws" {\n  version = "5.100.0"\n'
    f"  hashes = [\n{HASHES}  ]\n}}\n"
).encode()
ENCODINGS = ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "latin-1", "cp1252")
MARKS = (b"", codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_LE)
PIECES = (
    *MARKS, b"\0", b"\xe9", b"\xff", b'"\\ud800"', b'"\\u0000"', b"[" * 5_000, b'{"a":' * 200,
    b"1e999",
    b"NaN", b"null", b"9" * 5_000, b"{}", b"[]", b"\x1a", b"-r other.txt\n", b"(" * 300, b"\\\n",
)  # fmt: skip
REQUIRED_ONLINE = "functions/ours/requirements.txt"
"""Of this one, also the good file is refused: the packages it names would be downloaded."""
LOCK = main.PROJECT / "configs" / "models.lock.json"
REFUSALS = (InvalidConfig, BundleFailed, stacks.NoStack, WrongState, TerraformMissing)
Use = Callable[[Path], object]


def read_config(file: Path) -> None:
    config = load(file)
    ModelsLock.read(LOCK, config.region_name).resolve(config)


def read_overlay(file: Path) -> None:
    load(COMBINED, file)


def read_lock(file: Path) -> None:
    config = parse(CONFIG)
    lock = ModelsLock.read(file, config.region_name)
    lock.resolve(config)
    list(lock.notes(config))


def make_package(file: Path) -> None:
    project = file.parents[2]
    config = parse(CONFIG)
    integration_packages(config, project, project / ".cache")
    list(notes_on_requirements(config, project))


def read_record(file: Path) -> None:
    Source.read(file)


def read_terraform_config(file: Path) -> None:
    users_config({"TF_CLI_CONFIG_FILE": str(file)})


def place_provider_lock(file: Path) -> None:
    unused = provider_lock.place(file, file.parent)
    if unused:
        raise WrongState(unused)


PLAIN: Mapping[str, tuple[bytes, Use]] = {
    "config.json": (COMBINED.read_bytes(), read_config),
    "overlay.json": (b'{"max_lease_minutes": 600, "throttle": {"burst": 5}}', read_overlay),
    "models.lock.json": (LOCK.read_bytes(), read_lock),
    "functions/ours/requirements.txt": (REQUIREMENTS, make_package),
    "functions/ours/index.py": (HANDLER, make_package),
    "Pipfile.lock": ((main.PROJECT / "Pipfile.lock").read_bytes(), locked_requirements),
    "provider.lock.hcl": (PROVIDER, place_provider_lock),
    "stack.json": (json.dumps(LOCAL).encode(), lambda _: stacks.of_local()),
    "cdk.tf.json": (json.dumps(SYNTHESIZED).encode(), lambda _: stacks.of(None, None)),
    "deployed.json": (b'{"config": "configs/configs.json", "overlay": null}', read_record),
    "terraform.tfrc": (b'plugin_cache_dir = "/tmp/caf\xc3\xa9"\n', read_terraform_config),
}
"""The files that a user writes, or that git merges: a good one, and what reads it."""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with an integration. Nothing is downloaded."""
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setattr(stacks, "_LOCAL", tmp_path / "stack.json")
    monkeypatch.setattr(stacks, "_SYNTHESIZED", tmp_path / "cdk.tf.json")
    (tmp_path / "functions" / "ours").mkdir(parents=True)
    (tmp_path / "functions" / "ours" / "index.py").write_bytes(HANDLER)
    (tmp_path / "lambdas").mkdir()
    return tmp_path


def changed(good: bytes, at: random.Random) -> bytes:
    """The file as some editor, shell or merge could have left it."""
    raw = good
    for _ in range(at.randint(0, 2)):
        cut, other = sorted((at.randrange(len(raw) + 1), at.randrange(len(raw) + 1)))
        raw = at.choice(
            (
                raw[:cut],
                raw[:cut] + raw[other:],
                raw[:cut] + at.choice(PIECES) + raw[cut:],
                raw[:cut] + at.randbytes(at.randint(1, 3)) + raw[cut:],
                raw[:cut] + bytes((at.randrange(256),)) + raw[cut + 1 :],
                raw[:other] + raw[cut:],
                b"<<<<<<< HEAD\n" + raw[:cut] + b"\n=======\n" + raw[cut:],
            )
        )
    if at.random() < 0.5:
        raw = raw.replace(b"\n", at.choice((b"\r\n", b"\r")))
    if at.random() < 0.6:
        text = raw.decode("utf-8", "ignore")
        raw = at.choice(MARKS) + text.encode(at.choice(ENCODINGS), "replace")
    return raw


@pytest.mark.slow
@pytest.mark.parametrize("name", PLAIN)
def test_no_bytes_of_a_file_make_a_traceback(project: Path, name: str) -> None:
    good, use = PLAIN[name]
    file = project / name
    at = random.Random(name)  # noqa: S311  # repeatable on purpose
    refused: list[str] = []
    for number in range(FILES_OF_A_KIND):
        file.write_bytes(good if number == 0 else changed(good, at))
        try:
            use(file)
        except REFUSALS as refusal:
            refused.append(f"file {number}: {refusal}")
        except Exception as error:
            error.add_note(f"file {number}: {file.read_bytes()[:300]!r}")
            raise
    assert refused
    assert name == REQUIRED_ONLINE or not refused[0].startswith("file 0:")


def test_the_fuzz_tries_two_thousand_files() -> None:
    assert len(PLAIN) * FILES_OF_A_KIND >= 2_000


TEXT = "project_prefix: café\r\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_requirements_are_read_in_the_encodings_that_pip_reads(encoding: str) -> None:
    assert unicode(TEXT.encode(encoding)) == TEXT


@pytest.mark.parametrize("mark", [codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE])
def test_big_endian_text_is_read_by_its_mark(mark: bytes) -> None:
    encoding = "utf-16-be" if len(mark) == 2 else "utf-32-be"
    assert unicode(mark + TEXT.encode(encoding)) == TEXT


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (TEXT.encode("utf-16"), "it is UTF-16 text: save it as UTF-8"),
        (TEXT.encode("utf-16-le"), "it is UTF-16 text: save it as UTF-8"),
        (TEXT.encode("utf-32"), "it is UTF-32 text: save it as UTF-8"),
        (b"\n\n" + TEXT.encode("latin-1"), "line 3 holds bytes (e9) that are not UTF-8"),
    ],
)
def test_json_that_is_not_utf_8_is_named(raw: bytes, sentence: str) -> None:
    with pytest.raises(NotText) as caught:
        utf_8(raw)
    assert str(caught.value).startswith(sentence)


def test_a_config_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_bytes(codecs.BOM_UTF8 + COMBINED.read_bytes().replace(b"\n", b"\r\n"))
    assert load(file) == load(COMBINED)
