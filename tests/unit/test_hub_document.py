import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from jumpstart.hub_document import (
    Unhostable,
    default_instance_type,
    family_of,
    resolve,
    supported_instance_types,
    web_address,
)

DOCUMENTS = Path(__file__).resolve().parents[1] / "jumpstart_documents"
PATHS = sorted(DOCUMENTS.glob("*/*/*.json"))
IMAGE = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/serving:1"
OTHER_IMAGE = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/serving:2"
Document = Mapping[str, Any]


def published(model_id: str) -> dict[str, Any]:
    (path,) = DOCUMENTS.glob(f"*/{model_id}/*.json")
    document: dict[str, Any] = json.loads(path.read_text())
    return document


def document_with(variants: Document | None = None, **fields: Any) -> dict[str, Any]:
    """A model with an image for the whole g5 family; `fields` override or add fields."""
    type_variants = (
        {"g5": {"Properties": {"ImageUri": IMAGE}}} if variants is None else dict(variants)
    )
    return {
        "HostingArtifactUri": "s3://bucket/model/",
        "SupportedInferenceInstanceTypes": ["ml.g5.xlarge"],
        "HostingInstanceTypeVariants": {"Variants": type_variants},
        **fields,
    }


def ranked(*names: str, **components: Document) -> dict[str, Any]:
    return {
        "InferenceConfigRankings": {"overall": {"Rankings": list(names)}},
        "InferenceConfigs": {name: {"ComponentNames": [name]} for name in components},
        "InferenceConfigComponents": components,
    }


def refusal(document: Document, kind: str) -> str:
    with pytest.raises(Unhostable) as caught:
        resolve(document, kind)
    return str(caught.value)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.parent.name)
def test_every_supported_type_of_every_document_has_an_image_or_a_model_package(path: Path) -> None:
    document = json.loads(path.read_text())
    kinds = supported_instance_types(document)
    assert default_instance_type(document) in kinds
    for kind in kinds:
        hosting = resolve(document, kind)
        assert bool(hosting.image) != bool(hosting.model_package)
        assert not (hosting.image or hosting.model_package or "").startswith("$")
        assert bool(hosting.artifact) == bool(hosting.image)
        assert not hosting.additional_sources


def test_falcon_has_the_environment_of_its_instance_type() -> None:
    falcon = published("huggingface-llm-falcon-40b-instruct-bf16")
    four = resolve(falcon, "ml.g5.12xlarge").environment
    assert four["SM_NUM_GPUS"] == "4"
    assert four["MAX_BATCH_PREFILL_TOKENS"] == four["MAX_BATCH_TOTAL_TOKENS"] == "2048"
    assert four["ENDPOINT_SERVER_TIMEOUT"] == "3600"  # a number in the document
    eight = resolve(falcon, "ml.g5.48xlarge").environment
    assert eight["SM_NUM_GPUS"] == "8"
    assert "MAX_BATCH_TOTAL_TOKENS" not in eight


def test_a_model_package_has_no_image_environment_or_artifact_and_is_isolated() -> None:
    jurassic = resolve(published("ai21-jurassic-2-light"), "ml.p4de.24xlarge")
    assert jurassic.model_package == (
        "arn:aws:sagemaker:us-east-1:865070037744:model-package/j2-light-v2-0-004"
    )
    assert (jurassic.image, jurassic.artifact, jurassic.environment) == (None, None, {})
    assert jurassic.network_isolation
    assert not jurassic.gated
    assert jurassic.container_startup_timeout_seconds == 600


def test_a_gated_model_says_so_and_names_its_licence() -> None:
    llama = resolve(published("meta-textgeneration-llama-3-1-70b"), "ml.p4d.24xlarge")
    assert llama.gated
    assert llama.eula == "s3://jumpstart-cache-prod-us-east-1/fmhMetadata/eula/llama3_1Eula.txt"


@pytest.mark.parametrize(
    "fields",
    [
        {"HostingEulaUri": "s3://bucket/terms.txt"},
        {"GatedBucket": True},
        {"HostingArtifactUri": "s3://jumpstart-private-cache-prod-eu-west-1/model/"},
    ],
    ids=["licence", "flag", "bucket"],
)
def test_each_sign_alone_marks_a_model_as_gated(fields: Document) -> None:
    assert resolve(document_with(**fields), "ml.g5.xlarge").gated
    assert not resolve(document_with(), "ml.g5.xlarge").gated


def test_the_first_ranked_config_that_lists_the_type_overrides_the_document() -> None:
    document = document_with(
        **ranked(
            "fast",
            "plain",
            plain={"InferenceVolumeSize": 100},
            fast={
                "SupportedInferenceInstanceTypes": ["ml.p4d.24xlarge"],
                "HostingEcrUri": OTHER_IMAGE,
                "HostingArtifactUri": "s3://bucket/fast/",
                "GatedBucket": True,
                "ModelDataDownloadTimeout": 900,
            },
        )
    )
    on_p4d = resolve(document, "ml.p4d.24xlarge")
    assert (on_p4d.inference_config, on_p4d.image) == ("fast", OTHER_IMAGE)
    assert on_p4d.artifact == "s3://bucket/fast/"
    assert on_p4d.model_data_download_timeout_seconds == 900
    assert not on_p4d.gated  # the flag counts at the top level only
    on_g5 = resolve(document, "ml.g5.xlarge")
    assert (on_g5.inference_config, on_g5.image) == ("plain", IMAGE)
    assert supported_instance_types(document) == ["ml.g5.xlarge", "ml.p4d.24xlarge"]


def test_later_components_of_a_config_override_earlier_ones() -> None:
    document = document_with(
        **ranked("one", a={"HostingEcrUri": IMAGE}, b={"HostingEcrUri": OTHER_IMAGE}),
        HostingInstanceTypeVariants=None,
    )
    document["InferenceConfigs"] = {"one": {"ComponentNames": ["a", "b"]}}
    assert resolve(document, "ml.g5.xlarge").image == OTHER_IMAGE


def test_a_config_that_needs_a_draft_model_is_skipped_where_another_works() -> None:
    draft = {
        "InferenceEnvironmentVariables": [
            {"Name": "DRAFT", "Default": "/opt/ml/additional-model-data-sources/draft"}
        ],
        "HostingAdditionalDataSources": {
            "speculative_decoding": [
                {"ChannelName": "draft", "S3DataSource": {"S3Uri": "s3://bucket/draft/"}},
                {"ChannelName": "unread", "S3DataSource": {"S3Uri": "s3://bucket/unread/"}},
            ]
        },
    }
    both = document_with(**ranked("fast", "plain", fast=draft, plain={}))
    assert resolve(both, "ml.g5.xlarge").inference_config == "plain"
    only = document_with(**ranked("fast", fast=draft))
    fast = resolve({**only, "SupportedInferenceInstanceTypes": []}, "ml.g5.xlarge")
    # the document itself needs no draft model either
    assert fast.inference_config is None
    llama = published("meta-textgeneration-llama-3-1-70b")
    llama["InferenceConfigRankings"]["overall"]["Rankings"] = ["lmi-optimized"]
    del llama["InferenceConfigs"]["lmi"]
    llama["SupportedInferenceInstanceTypes"] = []
    hosting = resolve(llama, "ml.p5.48xlarge")
    assert hosting.inference_config == "lmi-optimized"
    assert list(hosting.additional_sources) == ["draft_model"]


@pytest.mark.parametrize(
    ("kind", "family"),
    [
        ("ml.g5.12xlarge", "g5"),
        ("ml.p6-b200.48xlarge", "p6-b200"),
        ("ml.trn1n.32xlarge", "trn1n"),
        ("g5.12xlarge", None),
        ("local_gpu", None),
    ],
)
def test_a_family_may_hold_a_hyphen(kind: str, family: str | None) -> None:
    assert family_of(kind) == family


def test_a_hyphenated_family_leads_to_its_image() -> None:
    variants = {"p6-b200": {"Properties": {"ImageUri": OTHER_IMAGE}}}
    assert resolve(document_with(variants), "ml.p6-b200.48xlarge").image == OTHER_IMAGE


def test_the_image_of_the_exact_type_overrides_that_of_its_family_and_of_the_model() -> None:
    document = document_with(
        {
            "g5": {"Properties": {"ImageUri": "family"}},
            "ml.g5.48xlarge": {"Properties": {"ImageUri": "exact"}},
        },
        HostingEcrUri="model",
    )
    kinds = ("ml.g5.48xlarge", "ml.g5.xlarge", "ml.c5.xlarge")
    assert [resolve(document, kind).image for kind in kinds] == ["exact", "family", "model"]


def test_the_error_for_a_type_without_an_image_names_the_types_that_have_one() -> None:
    document = document_with(
        {
            "g5": {"Properties": {"ImageUri": IMAGE}},
            "inf2": {"Properties": {"EnvironmentVariables": {"A": "1"}}},
            "local_gpu": {"Properties": {"ImageUri": IMAGE}},
            "ml.p4d.24xlarge": {"Properties": {"ImageUri": IMAGE}},
        }
    )
    assert refusal(document, "ml.inf2.xlarge") == (
        "no image is published for 'ml.inf2.xlarge'; it can run on: "
        "ml.g5.xlarge, ml.p4d.24xlarge, any ml.g5"
    )


@pytest.mark.parametrize("spelling", [("Properties", "ImageUri"), ("properties", "image_uri")])
def test_an_alias_is_looked_up_in_either_spelling(spelling: tuple[str, str]) -> None:
    outer, inner = spelling
    document = document_with({"g5": {outer: {inner: "$gpu"}}})
    document["HostingInstanceTypeVariants"]["Aliases"] = {"gpu": IMAGE}
    assert resolve(document, "ml.g5.xlarge").image == IMAGE
    document["HostingInstanceTypeVariants"]["Aliases"] = {"cpu": IMAGE}
    assert refusal(document, "ml.g5.xlarge") == (
        "its document names '$gpu', which it does not define (it has cpu)"
    )


def test_the_environment_holds_all_defaults_but_blank_ones_as_strings() -> None:
    defaults = [
        {"Name": "NUMBER", "Default": 3600, "RequiredForModelClass": False},
        {"Name": "ZERO", "Default": 0},
        {"Name": "EMPTY", "Default": ""},
        {"Name": "BLANK", "Default": " "},
        {"Name": "NONE", "Default": None},
        {"Name": "ABSENT"},
        {"Name": "OF_THE_FAMILY", "Default": "x"},
        {"Name": "OF_THE_TYPE", "Default": "x"},
    ]
    variants = {
        "g5": {"Properties": {"EnvironmentVariables": {"OF_THE_FAMILY": 1, "OF_THE_TYPE": "f"}}},
        "ml.g5.xlarge": {"Properties": {"EnvironmentVariables": {"OF_THE_TYPE": "t"}}},
    }
    document = document_with(variants, HostingEcrUri=IMAGE, InferenceEnvironmentVariables=defaults)
    assert resolve(document, "ml.g5.xlarge").environment == {
        "NUMBER": "3600",
        "ZERO": "0",
        "OF_THE_FAMILY": "1",
        "OF_THE_TYPE": "t",
    }


def test_a_prepacked_artifact_is_preferred_and_one_that_needs_packing_is_refused() -> None:
    scripted = document_with(HostingUseScriptUri=True)
    assert "HostingUseScriptUri" in refusal(scripted, "ml.g5.xlarge")
    prepacked = {**scripted, "HostingPrepackedArtifactUri": "s3://bucket/packed.tar.gz"}
    assert resolve(prepacked, "ml.g5.xlarge").artifact == "s3://bucket/packed.tar.gz"


@pytest.mark.parametrize("kind", ["ml.c5.xlarge", "ml.p3.2xlarge", "ml.inf2.xlarge", "ml.g4.x"])
def test_a_volume_is_requested_for_types_without_local_disks(kind: str) -> None:
    document = document_with(HostingEcrUri=IMAGE, InferenceVolumeSize=256)
    assert resolve(document, kind).volume_size_gb == 256


@pytest.mark.parametrize(
    "family", ["c5d", "g4dn", "g5", "g6", "g6e", "p3dn", "p4d", "p5en", "p6-b200", "trn1", "trn1n"]
)
def test_no_volume_is_requested_for_types_with_local_disks(family: str) -> None:
    document = document_with(HostingEcrUri=IMAGE, InferenceVolumeSize=256)
    assert resolve(document, f"ml.{family}.xlarge").volume_size_gb is None


def test_unknown_and_malformed_fields_are_ignored() -> None:
    document = document_with(
        Novelty={"a": [1]},
        InferenceConfigs=None,
        InferenceConfigRankings={"overall": {"Rankings": ["gone"]}},
        InferenceEnvironmentVariables=["odd"],
        InferenceVolumeSize="256",
        HostingAdditionalDataSources={"speculative_decoding": None},
    )
    assert resolve(document, "ml.g5.xlarge").image == IMAGE


def test_a_licence_has_a_web_address_in_its_partition() -> None:
    uri = "s3://cache/terms and more.txt"
    assert web_address(uri, "eu-west-1") == (
        "https://cache.s3.eu-west-1.amazonaws.com/terms%20and%20more.txt"
    )
    assert web_address(uri, "cn-north-1").startswith(
        "https://cache.s3.cn-north-1.amazonaws.com.cn/"
    )
