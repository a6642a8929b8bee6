"""`make deploy`, `make plan` and `make destroy` of all examples, changed in between, under the
policy that `make policy` prints: it suffices, and all but a few rights of it are needed."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import pytest

from tests.e2e.checkout import Checkout
from tests.e2e.deployer import (
    ACCOUNT,
    LIMIT,
    OTHER_LIMIT,
    REGION,
    STATES,
    Deployer,
    deploying,
    unused,
)
from tests.synth import entries

pytestmark = pytest.mark.prove
EVERYTHING = {
    "auth": {"type": "cognito", "groups": {"readers": "read", "renewers": "renew"}},
    "api_gateway_account_role": True,
    "backend": {"type": "s3", "bucket": STATES, "key": "demo/endpoint-manager.tfstate"},
    "cors_origin": "https://app.example.com",
    "lambda": {"snap_start": True},
    "roles": {"permissions_boundary": LIMIT},
    "tags": {"team": "search", "cost-centre": "4711"},
}
"""What all examples together leave out."""
called = partial(entries.called, ACCOUNT)
PARTS_OF_OTHERS = [
    called("Packed", image_uri=f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/packed:1"),
    called(
        "Layered",
        lambda_src="functions/falcon",
        layers=[f"arn:aws:lambda:{REGION}:999999999999:layer:theirs:7"],
    ),
]
"""What functions run that neither the stack nor an example makes."""
CHANGED = {
    "deletion_protection": False,
    "auth": {"type": "cognito", "groups": {"readers": "read"}},
    "alarm_emails": ["others@example.org"],
    "cors_origin": "https://other.example.com",
    "late_minutes": 60,
    "log_retention_days": 14,
    "reconciler_concurrency": 5,
    "reserved_concurrency": False,
    "roles": {"permissions_boundary": OTHER_LIMIT},
    "tags": {"team": "vision"},
    "throttle": {"rate_per_second": 100, "burst": 200},
}
LATER_VERSION = {
    "constructs_lib/async_api.py": ("Calls a model and keeps", "Calls a model, then keeps"),
    "constructs_lib/policy.py": (
        '"Action": "sts:AssumeRole",',
        '"Action": "sts:AssumeRole", "Sid": "Trust",',
    ),
    "constructs_lib/user_pool.py": ("refresh_token_validity=1", "refresh_token_validity=2"),
    "functions/falcon/index.py": ("import json", "import json  # changed"),
    "lambdas/handlers/api.py": ("from __future__", "# changed\nfrom __future__"),
}
"""Changes of the product: what a deploy of another version changes in place."""
ONLY_ON_AWS = {
    "s3:AbortMultipartUpload": "an upload was cut off: Terraform removes its parts",
    "s3:DeleteObjectVersion": "emptying a bucket, Terraform names versions: without any, `null`",
}
"""Actions that this deploy did not ask for, and when AWS asks for them."""


@pytest.fixture(scope="module")
def deployer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployer]:
    checkout = Checkout.copy_to(tmp_path_factory.mktemp("deployer") / "project")
    with deploying(checkout, all_examples(checkout)) as deployed:
        yield deployed


def all_examples(checkout: Checkout) -> dict[str, Any]:
    document = json.loads((checkout.folder / "configs/examples/combined.json").read_text())
    entries = [*document["jumpstart_models"], *PARTS_OF_OTHERS]
    return {**document, **EVERYTHING, "jumpstart_models": entries}


def changed(before: Mapping[str, Any]) -> dict[str, Any]:
    """The same with other settings, one entry less, and changes in some others."""
    after = {**copy.deepcopy(dict(before)), **CHANGED}
    entries = {entry["name"]: entry for entry in after["jumpstart_models"]}
    del entries["FlanT5-4"]
    entries["FlanT5-8"]["schedule"][0]["stop_time"] = "18:00"
    entries["FlanT5-2"]["integration"]["properties"]["api_resource_name"] = "flan-other"
    warm = entries["Falcon40B-18"]["integration"]["properties"]
    warm |= {"timeout_seconds": 20, "keep_warm": {"minutes": 10}}
    entries["Falcon40B-19"]["integration"]["properties"]["provisioned_concurrency"] = 2
    return {**after, "jumpstart_models": list(entries.values())}


def later_version(checkout: Checkout) -> None:
    for name, (old, new) in LATER_VERSION.items():
        path = checkout.folder / name
        source = path.read_text()
        assert source.count(old) == 1, name
        path.write_text(source.replace(old, new))


def test_all_examples_are_changed_planned_and_destroyed_under_the_policy_and_it_has_no_more(
    deployer: Deployer,
) -> None:
    later_version(deployer.checkout)
    deployer.write(changed(all_examples(deployer.checkout)))
    deployer.run("deploy", "--auto-approve")
    assert "No resource changes" in deployer.run("diff")
    for bucket in ("data", "results"):
        name = f"demo-{REGION}-{ACCOUNT}-{bucket}"
        deployer.root("s3").put_object(Bucket=name, Key="left-behind", Body=b"")
    deployer.run("destroy", "--auto-approve")

    assert deployer.root("lambda").list_functions()["Functions"] == []
    never = set(unused(deployer.policy(), deployer.allowed()))
    assert {action for action, _ in never} == set(ONLY_ON_AWS), sorted(never)
