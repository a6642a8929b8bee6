"""`python -m jumpstart lock`, with real boto3 and the hub of the simulator."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config

from jumpstart.__main__ import main
from jumpstart.hub import Hub, HubUnreachable, Listed
from local.simulator.account import Account
from local.simulator.hub import PublicHub
from tests.contract.emulator_process import free_port
from tests.contract.proxies import a_proxy
from tests.contract.simulated import SESSION, Simulated, simulated

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = ROOT / "tests" / "jumpstart_documents"
SHIPPED = ROOT / "configs" / "models.lock.json"
SHIPPED_CONFIGS = [
    ROOT / "configs" / "configs.json",
    *sorted((ROOT / "configs" / "examples").glob("*.json")),
]
REGION = "us-east-1"
FALCON = "huggingface-llm-falcon-40b-instruct-bf16"
LLAMA = "meta-textgeneration-llama-3-1-70b"
JURASSIC = "ai21-jurassic-2-light"
IMAGE = "111122223333.dkr.ecr.us-east-1.amazonaws.com/serving:1"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No AWS settings of the user, and no credentials except those that a test sets."""
    for name in ("CONFIG", "CONFIG_OVERLAY", "AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@dataclass
class Project:
    """A folder with a config and a lock file, and a simulated hub."""

    here: Simulated
    folder: Path
    capture: pytest.CaptureFixture[str]

    @property
    def lock_file(self) -> Path:
        return self.folder / "models.lock.json"

    @property
    def locked(self) -> Any:
        return json.loads(self.lock_file.read_text())["regions"]

    def config(self, *models: Mapping[str, Any], name: str = "config.json") -> Path:
        document = {
            "project_prefix": "demo",
            "region_name": REGION,
            "ddb_auth_table_name": "auth",
            "jumpstart_models": [
                {"name": f"M{number}", "inference_type": "realtime", **model}
                for number, model in enumerate(models)
            ],
        }
        path = self.folder / name
        path.write_text(json.dumps(document))
        return path

    def run(self, *arguments: object) -> tuple[int, str]:
        """The exit code and the output, stdout and stderr together."""
        code = main(["lock", "--lock", str(self.lock_file), *map(str, arguments)])
        captured = self.capture.readouterr()
        return code, captured.out + captured.err

    def lock(self, *models: Mapping[str, Any]) -> tuple[int, str]:
        return self.run("--config", self.config(*models))


def publish(folder: Path, model_id: str, version: str = "1.0.0", **document: object) -> None:
    path = folder / REGION / model_id / f"{version}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    fields = {
        "HostingEcrUri": IMAGE,
        "HostingArtifactUri": "s3://bucket/model/",
        "DefaultInferenceInstanceType": "ml.g5.xlarge",
        "SupportedInferenceInstanceTypes": ["ml.g5.xlarge"],
        **document,
    }
    path.write_text(json.dumps(fields))


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    """The folder of the hub, with some invented models. What a test adds must be there before the
    fixture `project` starts the hub."""
    folder = tmp_path / "documents"
    for version in ("1.0.0", "1.9.0", "1.10.0"):
        publish(folder, "several", version, Revision=version)
    publish(folder, "old", "1.0.0.deprecated")
    publish(folder, "old", "0.9.0")
    publish(folder, "gone", "1.0.0.deprecated")
    publish(folder, "rare", "1.0.0.restricted")
    publish(
        folder,
        "families",
        HostingEcrUri=None,
        HostingInstanceTypeVariants={"Variants": {"g5": {"Properties": {"ImageUri": IMAGE}}}},
    )
    return folder


@pytest.fixture
def project(
    documents: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Project]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    for path in DOCUMENTS.glob(f"{REGION}/*/*.json"):
        copy = documents / path.relative_to(DOCUMENTS)
        copy.parent.mkdir(parents=True)
        copy.write_bytes(path.read_bytes())
    account = Account(region=REGION)
    with simulated(account, hub=PublicHub.read(account, documents)) as here:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER", here.server.url)
        yield Project(here, tmp_path, capsys)


def entry(model_id: str, kind: str = "ml.g5.xlarge", **more: object) -> dict[str, Any]:
    return {"model_id": model_id, "inference_instance_type": kind, **more}


def test_locking_the_documents_reproduces_the_shipped_lock_byte_for_byte(project: Project) -> None:
    configs = [part for path in SHIPPED_CONFIGS for part in ("--config", path)]
    code, output = project.run(*configs)
    assert code == 0, output
    assert project.lock_file.read_bytes() == SHIPPED.read_bytes()


def test_locking_again_changes_nothing_and_says_so(project: Project) -> None:
    assert project.lock(entry(FALCON, "ml.g5.12xlarge")) == (0, "models.lock.json is written.\n")
    assert project.lock(entry(FALCON, "ml.g5.12xlarge")) == (0, "models.lock.json is as it was.\n")


def test_hub_on_this_machine_is_not_asked_through_the_users_proxy(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    with a_proxy() as proxy:
        for name, value in proxy.environment.items():
            monkeypatch.setenv(name, value)
        code, output = project.lock(entry(FALCON, "ml.g5.12xlarge"))

    assert (code, proxy.asked) == (0, []), output


def test_each_document_of_the_hub_can_be_locked(project: Project) -> None:
    code, output = project.lock(
        entry(FALCON, "ml.g5.12xlarge"),
        entry(LLAMA, "ml.p4d.24xlarge", accept_eula=True),
        entry(JURASSIC, "ml.p4de.24xlarge"),
    )
    assert code == 0
    assert "must be subscribed to it: https://aws.amazon.com/marketplace/" in output
    models = project.locked[REGION]
    llama = models[LLAMA]["versions"]["0.0.0"]["instance_types"]["ml.p4d.24xlarge"]
    assert llama["inference_config"] == "lmi"
    assert llama["licence"].startswith("https://jumpstart-cache-prod-us-east-1.s3.us-east-1.")
    jurassic = models[JURASSIC]["versions"]["0.0.0"]["instance_types"]["ml.p4de.24xlarge"]
    assert jurassic["model_package"].endswith("j2-light-v2-0-004")
    assert not {"image", "environment", "artifact"} & set(jurassic)


def test_an_entry_takes_the_latest_version_or_the_one_it_pins(project: Project) -> None:
    assert project.lock(entry("several"), entry("several", model_version="1.9.0"))[0] == 0
    several = project.locked[REGION]["several"]
    assert several["latest"] == "1.10.0"
    assert sorted(several["versions"]) == ["1.10.0", "1.9.0"]
    hashes = {each["document_sha256"] for each in several["versions"].values()}
    assert len(hashes) == 2


def test_a_pinned_version_is_not_recorded_as_the_latest(project: Project) -> None:
    assert project.lock(entry("several", model_version="1.0.0"))[0] == 0
    code, output = project.run("--check", "--config", project.config(entry("several")))
    assert code == 1
    assert (
        "jumpstart_models[0].model_version: the latest version of several is not in "
        "models.lock.json for us-east-1; locked there: 1.0.0; run `make lock`" in output
    )


def test_entries_of_other_configs_and_regions_are_kept_unless_pruned(project: Project) -> None:
    project.lock(entry("several", "ml.c5.xlarge", model_version="1.9.0"))
    lock = json.loads(project.lock_file.read_text())
    lock["regions"]["eu-west-1"] = lock["regions"][REGION]
    project.lock_file.write_text(json.dumps(lock))

    project.lock(entry("several"), entry("rare"))
    several = project.locked[REGION]["several"]["versions"]
    assert list(project.locked) == ["eu-west-1", REGION]
    assert set(several) == {"1.9.0", "1.10.0"}
    # the new version is locked for every type that another version is locked for
    assert set(several["1.10.0"]["instance_types"]) == {"ml.c5.xlarge", "ml.g5.xlarge"}

    project.run("--prune", "--config", project.config(entry("several")))
    assert list(project.locked) == [REGION]
    assert list(project.locked[REGION]) == ["several"]
    (version,) = project.locked[REGION]["several"]["versions"].values()
    assert set(version["instance_types"]) == {"ml.g5.xlarge"}


def test_a_region_may_be_named(project: Project) -> None:
    code, output = project.run(
        "--region", "eu-west-1", "--config", project.config(entry("several"))
    )
    assert code == 0, output  # the simulator does not check credentials
    assert list(project.locked) == ["eu-west-1"]
    assert project.run("--check", "--config", project.config(entry("several")))[0] == 1
    checked = project.run(
        "--check", "--region", "eu-west-1", "--config", project.config(entry("several"))
    )
    assert checked == (0, "models.lock.json holds all that is asked for.\n")


@pytest.mark.parametrize(
    ("model", "field", "sentence"),
    [
        (
            entry("huggingface-llm-falcon-40b-instruct"),
            "model_id",
            (
                "JumpStart has no model 'huggingface-llm-falcon-40b-instruct' in us-east-1; "
                f"like it there are: {FALCON}"
            ),
        ),
        (entry("zzz"), "model_id", "`aws sagemaker list-hub-contents"),
        (
            entry("several", model_version="2.0.0"),
            "model_version",
            "several has no version 2.0.0; there are: 1.10.0, 1.9.0, 1.0.0",
        ),
        (
            entry("old"),
            "model_id",
            "old 1.0.0 is deprecated by its publisher; choose one of 0.9.0",
        ),
        (
            entry("gone", model_version="1.0.0"),
            "model_version",
            "gone 1.0.0 is deprecated by its publisher; choose another model",
        ),
        (
            entry("a" * 64),
            "model_id",
            "has 64 characters: the API of JumpStart's hub takes 63 at most",
        ),
        (
            entry("families", "ml.c5.xlarge"),
            "inference_instance_type",
            (
                "families 1.0.0: no image is published for 'ml.c5.xlarge'; it can run on: "
                "ml.g5.xlarge, any ml.g5"
            ),
        ),
        (
            entry("families", instance_type_fallbacks=["ml.c5.xlarge"]),
            "instance_type_fallbacks[0]",
            "it can run on: ml.g5.xlarge, any ml.g5",
        ),
        (
            entry(LLAMA, "ml.p4d.24xlarge"),
            "accept_eula",
            (
                "may be used under its licence only; read it (https://jumpstart-cache-prod-us-east-1.s3"
                ".us-east-1.amazonaws.com/fmhMetadata/eula/llama3_1Eula.txt), and set "
                '"accept_eula": true'
            ),
        ),
    ],
    ids=["near", "missing", "version", "old", "gone", "long", "type", "fallback", "gated"],
)
def test_the_error_for_what_cannot_be_locked_names_alternatives(
    project: Project, model: Mapping[str, Any], field: str, sentence: str
) -> None:
    code, output = project.lock(entry("several"), model)
    assert code == 1
    (line,) = [line for line in output.splitlines() if line.startswith("  jumpstart_models")]
    assert line.startswith(f"  jumpstart_models[1].{field}: ")
    assert sentence in line
    assert "models.lock.json is left as it was." in output
    assert not project.lock_file.exists()


def test_all_problems_are_reported_together(project: Project) -> None:
    code, output = project.lock(
        entry("zzz"), entry("old"), entry("zzz"), entry(LLAMA, "ml.p4d.24xlarge")
    )
    assert code == 1
    assert "has 4 problems:" in output
    assert "jumpstart_models[2].model_id: JumpStart has no model 'zzz'" in output


def test_a_type_outside_the_publishers_list_is_only_noted(project: Project) -> None:
    code, output = project.lock(entry("several", "ml.c5.xlarge"), entry("rare"))
    assert code == 0
    assert "ml.c5.xlarge is not among the instance types" in output
    assert "rare 1.0.0 is restricted: not every account may host it." in output


def test_a_document_that_is_not_json_is_reported(documents: Path, project: Project) -> None:
    (documents / REGION / "broken").mkdir()
    (documents / REGION / "broken" / "1.0.0.json").write_text("<html>")
    account = Account(region=REGION)
    with (
        simulated(account, hub=PublicHub.read(account, documents)) as here,
        pytest.MonkeyPatch.context() as patched,
    ):
        patched.setenv("AWS_ENDPOINT_URL_SAGEMAKER", here.server.url)
        code, output = project.lock(entry("broken"))
    assert code == 1
    assert "jumpstart_models[0].model_id: broken: its document is not JSON" in output


def test_the_check_names_each_disagreement_and_needs_no_network(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.lock(entry("several"), entry(LLAMA, "ml.p4d.24xlarge", accept_eula=True))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER", "http://127.0.0.1:1")
    config = project.config(
        entry("severall"),
        entry("several", "ml.p4d.24xlarge"),
        entry("several", model_version="1.0.0"),
        entry(LLAMA, "ml.p4d.24xlarge"),
    )
    code, output = project.run("--check", "--config", config)
    assert code == 1
    paths = [line.partition(": ")[0].strip() for line in output.splitlines()[1:]]
    assert paths == [
        "jumpstart_models[0].model_id",
        "jumpstart_models[1].inference_instance_type",
        "jumpstart_models[2].model_version",
        "jumpstart_models[3].accept_eula",
    ]
    assert "did you mean 'several'?" in output


def test_a_throttled_call_is_made_again(project: Project) -> None:
    project.here.fault("DescribeHubContent", "ThrottlingException")
    assert project.lock(entry("several"))[0] == 0


@pytest.mark.parametrize("operation", ["DescribeHubContent", "ListHubContentVersions"])
def test_a_hub_that_keeps_refusing_is_reported_in_one_line(
    project: Project, operation: str
) -> None:
    project.here.fault(operation, "AccessDeniedException")
    code, output = project.lock(entry("several", model_version="2.0.0"))
    assert code == 2
    (line,) = output.splitlines()
    assert line.startswith(f"JumpStart's hub cannot be read: {operation}: AccessDeniedException: ")


def test_a_missing_model_is_reported_even_without_the_right_to_list_models(
    project: Project,
) -> None:
    project.here.fault("ListHubContents", "AccessDeniedException")
    code, output = project.lock(entry("severall"))
    assert code == 1
    assert "`aws sagemaker list-hub-contents" in output


def test_without_credentials_one_line_says_how_to_give_them(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    code, output = project.lock(entry("several"))
    told = "JumpStart's hub cannot be read: Unable to locate credentials: set AWS_PROFILE, or "
    assert (code, output) == (2, f"{told}AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY\n")


def test_the_profile_of_the_config_is_used(project: Project) -> None:
    path = project.config(entry("several"))
    document = json.loads(path.read_text())
    path.write_text(json.dumps({**document, "provider": {"profile": "no-such-profile"}}))
    code, output = project.run("--config", path)
    assert code == 2
    assert output.startswith(
        "JumpStart's hub cannot be read: the profile 'no-such-profile', which `provider.profile` "
        "of the config names, is not on this machine"
    )
    assert output.count("\n") == 1


def test_without_a_network_one_line_says_so(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER", f"http://127.0.0.1:{free_port()}")
    code, output = project.lock(entry("several"))
    assert code == 2
    (line,) = output.splitlines()
    assert line.startswith("JumpStart's hub cannot be read: Could not connect to the endpoint URL")


def test_a_lock_of_an_older_format_is_written_anew(project: Project) -> None:
    project.lock_file.write_text('{"format": 1, "regions": {"us-east-1": {"old": {}}}}')
    code, output = project.run("--check", "--config", project.config(entry("several")))
    assert code == 2
    assert "format: must be 2; run `make lock` to write the file anew" in output
    assert project.lock(entry("several"))[0] == 0
    assert list(project.locked[REGION]) == ["several"]


def test_all_pages_of_a_listing_are_read(documents: Path) -> None:
    for number in range(230):
        publish(documents, "many", f"1.{number}.0")
        publish(documents, f"model-{number}")
    account = Account(region=REGION)
    with simulated(account, hub=PublicHub.read(account, documents)) as here:
        config = Config(retries={"total_max_attempts": 1})
        hub = Hub(SESSION.client("sagemaker", endpoint_url=here.server.url, config=config))
        assert hub.versions("many")[0] == Listed("1.229.0", "Supported")
        assert len(hub.versions("many")) == 230
        assert hub.versions("nothing") == []
        here.http("DELETE", "/_calls")
        here.fault("ListHubContentVersions", "ThrottlingException")
        with pytest.raises(HubUnreachable, match="ThrottlingException: Rate exceeded"):
            hub.versions("many")
