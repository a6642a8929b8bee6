"""`python -m jumpstart lock`, real boto3 and the simulator's hub."""

import json
import socket
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
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the user's own, and no credentials but what a test sets."""
    for name in ("CONFIG", "CONFIG_OVERLAY", "AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@dataclass
class Shop:
    """A folder with a config and a lock, before a simulated hub."""

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
        """The exit code and all that was said."""
        code = main(["lock", "--lock", str(self.lock_file), *map(str, arguments)])
        said = self.capture.readouterr()
        return code, said.out + said.err

    def lock(self, *models: Mapping[str, Any]) -> tuple[int, str]:
        return self.run("--config", self.config(*models))


def publish(folder: Path, model_id: str, version: str = "1.0.0", **document: object) -> None:
    path = folder / REGION / model_id / f"{version}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    told = {
        "HostingEcrUri": IMAGE,
        "HostingArtifactUri": "s3://bucket/model/",
        "DefaultInferenceInstanceType": "ml.g5.xlarge",
        "SupportedInferenceInstanceTypes": ["ml.g5.xlarge"],
        **document,
    }
    path.write_text(json.dumps(told))


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    """A hub with some models of the tests' own; what a test adds to it comes before the shop."""
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
def shop(
    documents: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Shop]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    for path in DOCUMENTS.glob(f"{REGION}/*/*.json"):
        copy = documents / path.relative_to(DOCUMENTS)
        copy.parent.mkdir(parents=True)
        copy.write_bytes(path.read_bytes())
    account = Account(region=REGION)
    with simulated(account, hub=PublicHub.read(account, documents)) as here:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER", here.server.url)
        yield Shop(here, tmp_path, capsys)


def on(model_id: str, kind: str = "ml.g5.xlarge", **more: object) -> dict[str, Any]:
    return {"model_id": model_id, "inference_instance_type": kind, **more}


def test_the_shipped_lock_comes_out_of_the_documents_byte_for_byte(shop: Shop) -> None:
    configs = [part for path in SHIPPED_CONFIGS for part in ("--config", path)]
    code, said = shop.run(*configs)
    assert code == 0, said
    assert shop.lock_file.read_bytes() == SHIPPED.read_bytes()


def test_locking_again_changes_nothing_and_says_so(shop: Shop) -> None:
    assert shop.lock(on(FALCON, "ml.g5.12xlarge")) == (0, "models.lock.json is written.\n")
    assert shop.lock(on(FALCON, "ml.g5.12xlarge")) == (0, "models.lock.json is as it was.\n")


def test_each_document_of_the_hub_can_be_locked(shop: Shop) -> None:
    code, said = shop.lock(
        on(FALCON, "ml.g5.12xlarge"),
        on(LLAMA, "ml.p4d.24xlarge", accept_eula=True),
        on(JURASSIC, "ml.p4de.24xlarge"),
    )
    assert code == 0
    assert "must be subscribed to it: https://aws.amazon.com/marketplace/" in said
    models = shop.locked[REGION]
    llama = models[LLAMA]["versions"]["0.0.0"]["instance_types"]["ml.p4d.24xlarge"]
    assert llama["inference_config"] == "lmi"
    assert llama["licence"].startswith("https://jumpstart-cache-prod-us-east-1.s3.us-east-1.")
    jurassic = models[JURASSIC]["versions"]["0.0.0"]["instance_types"]["ml.p4de.24xlarge"]
    assert jurassic["model_package"].endswith("j2-light-v2-0-004")
    assert not {"image", "environment", "artifact"} & set(jurassic)


def test_an_entry_takes_the_latest_version_or_the_one_it_pins(shop: Shop) -> None:
    assert shop.lock(on("several"), on("several", model_version="1.9.0"))[0] == 0
    several = shop.locked[REGION]["several"]
    assert several["latest"] == "1.10.0"
    assert sorted(several["versions"]) == ["1.10.0", "1.9.0"]
    hashes = {each["document_sha256"] for each in several["versions"].values()}
    assert len(hashes) == 2


def test_a_pin_alone_makes_nothing_the_latest(shop: Shop) -> None:
    assert shop.lock(on("several", model_version="1.0.0"))[0] == 0
    code, said = shop.run("--check", "--config", shop.config(on("several")))
    assert code == 1
    assert (
        "jumpstart_models[0].model_version: the latest version of several is not in "
        "models.lock.json for us-east-1; locked there: 1.0.0; run `make lock`" in said
    )


def test_what_other_configs_and_regions_need_stays_unless_pruned(shop: Shop) -> None:
    shop.lock(on("several", "ml.c5.xlarge", model_version="1.9.0"))
    lock = json.loads(shop.lock_file.read_text())
    lock["regions"]["eu-west-1"] = lock["regions"][REGION]
    shop.lock_file.write_text(json.dumps(lock))

    shop.lock(on("several"), on("rare"))
    several = shop.locked[REGION]["several"]["versions"]
    assert list(shop.locked) == ["eu-west-1", REGION]
    assert set(several) == {"1.9.0", "1.10.0"}
    # a type that some version was locked for is locked for the new one too
    assert set(several["1.10.0"]["instance_types"]) == {"ml.c5.xlarge", "ml.g5.xlarge"}

    shop.run("--prune", "--config", shop.config(on("several")))
    assert list(shop.locked) == [REGION]
    assert list(shop.locked[REGION]) == ["several"]
    (version,) = shop.locked[REGION]["several"]["versions"].values()
    assert set(version["instance_types"]) == {"ml.g5.xlarge"}


def test_a_region_may_be_named(shop: Shop) -> None:
    code, said = shop.run("--region", "eu-west-1", "--config", shop.config(on("several")))
    assert code == 0, said  # the simulator does not look at who asks
    assert list(shop.locked) == ["eu-west-1"]
    assert shop.run("--check", "--config", shop.config(on("several")))[0] == 1
    checked = shop.run("--check", "--region", "eu-west-1", "--config", shop.config(on("several")))
    assert checked == (0, "models.lock.json holds all that is asked for.\n")


@pytest.mark.parametrize(
    ("model", "field", "sentence"),
    [
        (
            on("huggingface-llm-falcon-40b-instruct"),
            "model_id",
            (
                "JumpStart has no model 'huggingface-llm-falcon-40b-instruct' in us-east-1; "
                f"like it there are: {FALCON}"
            ),
        ),
        (on("zzz"), "model_id", "`aws sagemaker list-hub-contents"),
        (
            on("several", model_version="2.0.0"),
            "model_version",
            "several has no version 2.0.0; there are: 1.10.0, 1.9.0, 1.0.0",
        ),
        (
            on("old"),
            "model_id",
            "old 1.0.0 is deprecated by its publisher; choose one of 0.9.0",
        ),
        (
            on("gone", model_version="1.0.0"),
            "model_version",
            "gone 1.0.0 is deprecated by its publisher; choose another model",
        ),
        (
            on("a" * 64),
            "model_id",
            "has 64 characters: the API of JumpStart's hub takes 63 at most",
        ),
        (
            on("families", "ml.c5.xlarge"),
            "inference_instance_type",
            (
                "families 1.0.0: no image is published for 'ml.c5.xlarge'; it can run on: "
                "ml.g5.xlarge, any ml.g5"
            ),
        ),
        (
            on("families", instance_type_fallbacks=["ml.c5.xlarge"]),
            "instance_type_fallbacks[0]",
            "it can run on: ml.g5.xlarge, any ml.g5",
        ),
        (
            on(LLAMA, "ml.p4d.24xlarge"),
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
def test_what_cannot_be_locked_is_told_with_its_alternatives(
    shop: Shop, model: Mapping[str, Any], field: str, sentence: str
) -> None:
    code, said = shop.lock(on("several"), model)
    assert code == 1
    (line,) = [line for line in said.splitlines() if line.startswith("  jumpstart_models")]
    assert line.startswith(f"  jumpstart_models[1].{field}: ")
    assert sentence in line
    assert "models.lock.json is left as it was." in said
    assert not shop.lock_file.exists()


def test_all_that_is_wrong_is_told_at_once(shop: Shop) -> None:
    code, said = shop.lock(on("zzz"), on("old"), on("zzz"), on(LLAMA, "ml.p4d.24xlarge"))
    assert code == 1
    assert "has 4 problems:" in said
    assert "jumpstart_models[2].model_id: JumpStart has no model 'zzz'" in said


def test_a_type_outside_the_publishers_list_is_only_noted(shop: Shop) -> None:
    code, said = shop.lock(on("several", "ml.c5.xlarge"), on("rare"))
    assert code == 0
    assert "ml.c5.xlarge is not among the instance types" in said
    assert "rare 1.0.0 is restricted: not every account may host it." in said


def test_a_document_that_is_none_is_told(documents: Path, shop: Shop) -> None:
    (documents / REGION / "broken").mkdir()
    (documents / REGION / "broken" / "1.0.0.json").write_text("<html>")
    account = Account(region=REGION)
    with (
        simulated(account, hub=PublicHub.read(account, documents)) as here,
        pytest.MonkeyPatch.context() as patched,
    ):
        patched.setenv("AWS_ENDPOINT_URL_SAGEMAKER", here.server.url)
        code, said = shop.lock(on("broken"))
    assert code == 1
    assert "jumpstart_models[0].model_id: broken: its document is not JSON" in said


def test_the_check_names_each_disagreement_and_needs_no_network(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.lock(on("several"), on(LLAMA, "ml.p4d.24xlarge", accept_eula=True))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER", "http://127.0.0.1:1")
    config = shop.config(
        on("severall"),
        on("several", "ml.p4d.24xlarge"),
        on("several", model_version="1.0.0"),
        on(LLAMA, "ml.p4d.24xlarge"),
    )
    code, said = shop.run("--check", "--config", config)
    assert code == 1
    told = [line.partition(": ")[0].strip() for line in said.splitlines()[1:]]
    assert told == [
        "jumpstart_models[0].model_id",
        "jumpstart_models[1].inference_instance_type",
        "jumpstart_models[2].model_version",
        "jumpstart_models[3].accept_eula",
    ]
    assert "did you mean 'several'?" in said


def test_a_throttled_call_is_made_again(shop: Shop) -> None:
    shop.here.fault("DescribeHubContent", "ThrottlingException")
    assert shop.lock(on("several"))[0] == 0


@pytest.mark.parametrize("operation", ["DescribeHubContent", "ListHubContentVersions"])
def test_a_hub_that_goes_on_refusing_is_told_in_one_line(shop: Shop, operation: str) -> None:
    shop.here.fault(operation, "AccessDeniedException")
    code, said = shop.lock(on("several", model_version="2.0.0"))
    assert code == 2
    (line,) = said.splitlines()
    assert line.startswith(f"JumpStart's hub cannot be read: {operation}: AccessDeniedException: ")


def test_who_may_not_list_models_still_hears_that_one_is_missing(shop: Shop) -> None:
    shop.here.fault("ListHubContents", "AccessDeniedException")
    code, said = shop.lock(on("severall"))
    assert code == 1
    assert "`aws sagemaker list-hub-contents" in said


def test_without_credentials_one_line_says_so(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    code, said = shop.lock(on("several"))
    assert (code, said) == (2, "JumpStart's hub cannot be read: Unable to locate credentials\n")


def test_without_a_network_one_line_says_so(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER", url)
    code, said = shop.lock(on("several"))
    assert code == 2
    (line,) = said.splitlines()
    assert line.startswith("JumpStart's hub cannot be read: Could not connect to the endpoint URL")


def test_a_lock_of_an_older_format_is_written_anew(shop: Shop) -> None:
    shop.lock_file.write_text('{"format": 1, "regions": {"us-east-1": {"old": {}}}}')
    code, said = shop.run("--check", "--config", shop.config(on("several")))
    assert code == 2
    assert "format: must be 2; run `make lock` to write the file anew" in said
    assert shop.lock(on("several"))[0] == 0
    assert list(shop.locked[REGION]) == ["several"]


def test_pages_are_read_to_their_end(documents: Path) -> None:
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
