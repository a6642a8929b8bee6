"""Bringing the stack up: again, changed, and through the CLI; and who can reach it."""

from __future__ import annotations

import re

from local.up import UNCHANGED
from tests.contract.proxies import a_proxy
from tests.e2e.calls import FALCON, FLAN, get, renew
from tests.e2e.checkout import Checkout, descendants, listening, until


def plain(printed: str) -> str:
    """Terminal output without colours, cursor movements and line breaks."""
    return " ".join(re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", printed).split())


def test_second_up_changes_nothing(checkout: Checkout) -> None:
    assert UNCHANGED in checkout.up()
    (checkout.folder / ".local/applied.json").unlink()
    printed = checkout.up()
    assert "0 added, 0 changed, 0 destroyed" in printed, printed


def test_nothing_of_the_stack_is_reached_through_the_users_proxy(checkout: Checkout) -> None:
    with a_proxy() as proxy:
        assert UNCHANGED in checkout.up(**proxy.environment)
        listed = checkout.run("client", "token", "list", "--local", **proxy.environment)

    assert listed.returncode == 0, listed.stderr
    assert "local admin" in listed.stdout
    assert proxy.asked == []


def test_nothing_listens_outside_loopback(checkout: Checkout) -> None:
    stack = checkout.stack
    pids = set(stack["pids"].values())
    addresses = listening(descendants(pids))
    assert len(addresses) >= 3, addresses
    assert all(a.startswith(("127.", "::1", "::ffff:127.")) for a in addresses), addresses


def test_files_of_the_stack_are_readable_only_by_their_owner(checkout: Checkout) -> None:
    assert (checkout.folder / ".local").stat().st_mode & 0o077 == 0
    assert (checkout.folder / ".local/stack.json").stat().st_mode & 0o077 == 0


def test_cdktf_diff_and_deploy_work_against_the_embedded_aws(checkout: Checkout) -> None:
    """As users deploy: with the pinned CLI, its own state, and another prefix beside the first."""
    config = {**checkout.config(), "project_prefix": "cli", "ddb_auth_table_name": "cli-auth"}
    path = checkout.write_config(config)
    environment = {**checkout.aws(), "CONFIG": path, "CONFIG_OVERLAY": "local/overlay.json"}
    planned = checkout.run("tools.cdktf_cli", "diff", **environment)
    assert planned.returncode == 0, planned.stdout + planned.stderr
    assert re.search(r"Plan: \d+ to add, 0 to change, 0 to destroy", plain(planned.stdout))
    deployed = checkout.run("tools.cdktf_cli", "deploy", "--auto-approve", **environment)
    assert deployed.returncode == 0, deployed.stdout + deployed.stderr
    assert "api_url" in deployed.stdout
    tables = checkout.client("dynamodb").list_tables()["TableNames"]
    assert {"cli-state", "cli-auth", "demo-state"} <= set(tables)
    spinner = re.compile(r"^[\u2800-\u28ff]", re.MULTILINE)
    assert not spinner.search(planned.stdout + deployed.stdout)

    checkout.write_config({**config, "project_prefix": "renamed"})
    refused = checkout.run("tools.cdktf_cli", "diff", **environment)
    assert refused.returncode == 1
    assert "deployed the stack cli-us-east-1, which is still there" in refused.stderr
    assert refused.stdout == ""


def test_changed_entry_moves_the_running_endpoint_and_keeps_its_lease(checkout: Checkout) -> None:
    renew(checkout, FALCON, 60)
    until(lambda: get(checkout, FALCON)["Status"] == "InService", 60)
    before = get(checkout, FALCON)
    config = checkout.config()
    config["jumpstart_models"][0]["inference_instance_type"] = "ml.g5.24xlarge"
    checkout.up(CONFIG=checkout.write_config(config))
    after = get(checkout, FALCON)
    assert after["EndpointConfigName"] != before["EndpointConfigName"]
    assert after["ServedConfigName"] == after["EndpointConfigName"]
    assert after["LeaseExpiresAt"] == before["LeaseExpiresAt"]
    configs = checkout.client("sagemaker").list_endpoint_configs(MaxResults=100)
    names = {config["EndpointConfigName"] for config in configs["EndpointConfigs"]}
    assert before["EndpointConfigName"] not in names, "the old config was deleted after the update"


def test_endpoint_of_a_removed_entry_is_stopped_before_its_config_is_deleted(
    checkout: Checkout,
) -> None:
    checkout.up()
    renew(checkout, FLAN, 60)
    until(lambda: get(checkout, FLAN)["Status"] == "InService", 60)
    config = checkout.config()
    config["jumpstart_models"].pop()
    printed = checkout.up(CONFIG=checkout.write_config(config))
    assert "destroyed" in printed
    assert checkout.status(FLAN) == "Absent"
    with checkout.simulator() as simulator:
        calls = simulator.get("/_calls").json()["calls"]
    order = [
        call["operation"]
        for call in calls
        if call["operation"] in ("DeleteEndpoint", "DeleteEndpointConfig") and not call["error"]
    ]
    assert "DeleteEndpoint" in order
    last_delete = max(i for i, operation in enumerate(order) if operation == "DeleteEndpoint")
    assert order[last_delete:] == ["DeleteEndpoint", "DeleteEndpointConfig"], order
    with checkout.api() as api:
        assert api.get("/endpoint-expiry", params={"EndpointName": FLAN}).status_code == 404
    checkout.up()
    assert get(checkout, FLAN)["LeaseExpiresAt"] is None, (
        "an entry that was removed and added again is new"
    )
