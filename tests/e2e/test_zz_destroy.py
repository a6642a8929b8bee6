"""Destroying a stack: endpoints first, then everything else. These tests run last."""

from __future__ import annotations

from tests.e2e.calls import FALCON, get, renew
from tests.e2e.checkout import Checkout, alive, descendants, until


def test_destroy_with_an_endpoint_in_creating_fails_naming_it_and_destroys_nothing(
    checkout: Checkout,
) -> None:
    config = {**checkout.config(), "destroy_wait_seconds": 8}
    checkout.up(CONFIG=checkout.write_config(config))
    with checkout.api() as api:
        api.delete("/endpoint-expiry", params={"EndpointName": FALCON}).raise_for_status()
    until(lambda: checkout.status(FALCON) == "Absent", 60)
    until(lambda: get(checkout, FALCON)["Status"] == "Absent", 60)
    checkout.fault("CreateEndpoint", "Stuck", endpoint=FALCON)
    renew(checkout, FALCON, 60)
    until(lambda: checkout.status(FALCON) == "Creating")
    failed = checkout.terraform("destroy", "-auto-approve", "-no-color")
    assert failed.returncode != 0
    assert FALCON in failed.stderr + failed.stdout
    functions = checkout.client("lambda").list_functions()["Functions"]
    assert len(functions) >= 6
    assert "demo-state" in checkout.client("dynamodb").list_tables()["TableNames"]
    with checkout.api() as api:
        refused = api.post("/endpoint-expiry", json={"EndpointName": FALCON, "minutes": 5})
    assert (refused.status_code, refused.json()["code"]) == (503, "Draining")


def test_destroy_with_a_live_lease_stops_the_endpoint_first_and_it_stays_stopped(
    checkout: Checkout,
) -> None:
    checkout.clear_faults()
    checkout.up()
    renew(checkout, FALCON, 60)
    until(lambda: checkout.status(FALCON) == "InService", 60)
    created = len(checkout.calls("CreateEndpoint", FALCON))
    done = checkout.terraform("destroy", "-auto-approve", "-no-color")
    assert done.returncode == 0, done.stdout + done.stderr
    assert checkout.status(FALCON) == "Absent"
    assert len(checkout.calls("CreateEndpoint", FALCON)) == created
    functions = checkout.client("lambda").list_functions()["Functions"]
    assert not [f for f in functions if f["FunctionName"].startswith("demo-")]
    assert "demo-state" not in checkout.client("dynamodb").list_tables()["TableNames"]


def test_down_leaves_no_process_and_no_file(checkout: Checkout) -> None:
    family = descendants(set(checkout.stack["pids"].values()))
    assert family
    checkout.down()
    assert not [pid for pid in family if alive(pid)]
    assert not (checkout.folder / ".local/stack.json").exists()
