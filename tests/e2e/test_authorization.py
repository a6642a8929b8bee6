"""Who may do what: tokens, users of a user pool, and callers without either."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest

from lambdas.core.answer_headers import answer_headers
from tests.e2e.calls import FALCON, FLAN
from tests.e2e.checkout import Checkout, until
from tests.e2e.guarded import GROUPS, Guarded
from tests.e2e.hostile import NO_TOKENS

CACHED_SECONDS = 60
ORIGIN = "https://app.example.com"
LIST = ("GET", "/endpoint-expiry")


@pytest.fixture(scope="module")
def guarded(checkout: Checkout) -> Iterator[Guarded]:
    config = checkout.config()
    config["auth"] = {"type": "cognito", "groups": GROUPS}
    config["cors_origin"] = ORIGIN
    path = checkout.write_config(config)
    checkout.up(CONFIG=path)
    outputs = json.loads(checkout.terraform("output", "-json").stdout)
    guarded = Guarded(
        checkout, outputs["user_pool_id"]["value"], outputs["user_pool_client_id"]["value"]
    )
    stack = checkout.stack
    guarded.secrets |= {stack["token"], stack["admin_token"]}
    yield guarded
    checkout.up()


def code_of(answer: httpx.Response) -> str:
    assert set(answer.json()) == {"error", "code", "requestId"}, answer.text
    return str(answer.json()["code"])


def test_command_line_makes_a_token_that_works_until_it_is_revoked(guarded: Guarded) -> None:
    run = guarded.checkout.run
    made = run(
        "client", "token", "create", "--local", "--name", "ci", "--scopes", "read", "--days", "1"
    )
    assert made.returncode == 0, made.stderr
    secret = guarded.keep(made.stdout.strip())
    assert guarded.with_token(secret, *LIST).status_code == 200
    listed = run("client", "token", "list", "--local")
    assert "  ci " in listed.stdout
    assert "  local admin " in listed.stdout
    assert secret not in listed.stdout
    assert run("client", "token", "revoke", "--local", "ci").returncode == 0
    assert "  ci " not in run("client", "token", "list", "--local").stdout
    # A later test checks that it stops working: the authorizer's answer is cached for a while.
    guarded.revoked, guarded.revoked_at = secret, time.monotonic()


def test_the_next_plan_is_empty(guarded: Guarded) -> None:
    planned = guarded.checkout.terraform("plan", "-detailed-exitcode", "-no-color", "-input=false")
    assert planned.returncode == 0, planned.stdout + planned.stderr


def test_last_use_of_a_token_is_listed(guarded: Guarded) -> None:
    listed = guarded.checkout.run("client", "token", "list", "--local").stdout
    (row,) = [line for line in listed.splitlines() if "  local admin " in line]
    guarded.with_token(guarded.checkout.stack["admin_token"], *LIST).raise_for_status()
    listed = guarded.checkout.run("client", "token", "list", "--local").stdout
    (row,) = [line for line in listed.splitlines() if "  local admin " in line]
    assert row.rstrip().endswith("Z"), row


def test_tokens_are_accepted_with_and_without_bearer_in_any_header_case(guarded: Guarded) -> None:
    secret = guarded.token("read")
    for headers in (
        {"Authorization": secret},
        {"aUTHORIZATION": secret},
        {"Authorization": f"Bearer {secret}"},
        {"authorization": f"bearer {secret}"},
    ):
        assert guarded.ask(*LIST, headers).status_code == 200


def test_users_of_the_pool_do_what_their_groups_may(guarded: Guarded) -> None:
    user = guarded.signed_in("flan-team")
    for token in (user["AccessToken"], user["IdToken"], f"Bearer {user['AccessToken']}"):
        listed = guarded.with_token(token, *LIST)
        assert [each["EndpointName"] for each in listed.json()] == [FLAN]
    body = {"EndpointName": FLAN, "minutes": 1}
    renewed = guarded.with_token(user["AccessToken"], "POST", "/endpoint-expiry", json=body)
    assert renewed.status_code == 200, renewed.text
    events = guarded.with_token(
        user["IdToken"], "GET", "/endpoint-events", params={"EndpointName": FLAN}
    )
    actors = [event["Actor"] for event in events.json() if event["Event"] == "renewed"]
    assert actors[0].startswith("cognito:user-")
    everything = guarded.signed_in("readers", "flan-team")
    assert len(guarded.with_token(everything["AccessToken"], *LIST).json()) >= 2
    guarded.with_token(
        user["AccessToken"], "DELETE", "/endpoint-expiry", params={"EndpointName": FLAN}
    ).raise_for_status()


def test_models_without_a_function_are_open_to_those_who_may_invoke_them(
    guarded: Guarded,
) -> None:
    for scopes in ("invoke", f"invoke:{FLAN}"):
        answer = guarded.with_token(guarded.token(scopes), "POST", "/flan", json={"inputs": "x"})
        assert answer.status_code not in {401, 403}, answer.text


def test_execution_of_somebody_else_is_refused(guarded: Guarded) -> None:
    with guarded.checkout.api() as api:
        api.post("/endpoint-expiry", json={"EndpointName": FALCON, "minutes": 5}).raise_for_status()
        query = {"EndpointName": FALCON}

        def serves() -> bool:
            return bool(api.get("/endpoint-expiry", params=query).json()["Status"] == "InService")

        until(serves, 60)
        call = {"endpointname": FALCON, "body": {"inputs": "x"}}
        begun = api.post("/startexecution", json=call).raise_for_status().json()
        api.delete("/endpoint-expiry", params=query).raise_for_status()
    asked = {"executionArn": begun["executionArn"]}
    answer = guarded.with_token(guarded.token("invoke"), "POST", "/describeexecution", json=asked)
    assert (answer.status_code, code_of(answer)) == (403, "NotYourExecution")


def test_every_answer_has_the_security_and_cors_headers(
    guarded: Guarded,
) -> None:
    token, path = guarded.token("read"), "/endpoint-expiry"
    answers = [
        guarded.with_token(token, "GET", path),
        guarded.with_token(token, "POST", path, json={}),
        guarded.with_token(token, "POST", "/flan", json={}),
        guarded.with_token(token, "POST", "/falcon", json={}),
        guarded.with_token(guarded.token("invoke"), "POST", "/flan", json={"inputs": "x"}),
        guarded.ask("GET", path),
        guarded.ask("GET", "/health"),
        guarded.ask("GET", "/there-is-none"),
    ]
    assert {answer.status_code for answer in answers} >= {200, 401, 403, 404}
    for answer in answers:
        for name, value in answer_headers(ORIGIN).items():
            assert answer.headers.get_list(name) == [value], answer


def test_preflights_need_no_token(guarded: Guarded) -> None:
    asks = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
    for path in ("/endpoint-expiry", "/flan", "/falcon", "/health"):
        answer = guarded.ask("OPTIONS", path, asks)
        assert answer.status_code == 200, answer.text
        assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]
        assert "POST" in answer.headers["Access-Control-Allow-Methods"]


@pytest.mark.parametrize("case", NO_TOKENS)
def test_callers_without_a_valid_token_are_refused(guarded: Guarded, case: str) -> None:
    sent = NO_TOKENS[case](guarded)
    for method, path in (LIST, ("POST", "/flan"), LIST):
        status, document = guarded.try_out(method, path, sent)
        assert status in {401, 403}, document
        assert set(document) == {"error", "code", "requestId"}
        assert document["code"] in {"Unauthorized", "Forbidden", "ScopeMissing"}


def test_token_in_the_query_is_ignored(guarded: Guarded) -> None:
    query = {"Authorization": guarded.token("read"), "token": guarded.token("read")}
    assert guarded.ask(*LIST, params=query).status_code == 401


RENEWAL = {"json": {"EndpointName": FALCON, "minutes": 5}}
OF_FALCON = {"params": {"EndpointName": FALCON}}
CALL = {"json": {"endpointname": FALCON, "body": {}}}
PROMPT = {"json": {"inputs": "x"}}
BOTH = {"params": {"EndpointName": FLAN}, "json": {"EndpointName": FALCON, "schedule": []}}


@pytest.mark.parametrize(
    ("scopes", "method", "path", "sent"),
    [
        ("read", "POST", "/endpoint-expiry", RENEWAL),
        ("read", "DELETE", "/endpoint-expiry", OF_FALCON),
        ("manage invoke", "GET", "/endpoint-expiry", {}),
        (f"renew:{FLAN}", "POST", "/endpoint-expiry", RENEWAL),
        (f"renew:{FLAN}", "DELETE", "/endpoint-expiry", OF_FALCON),
        (f"read:{FLAN}", "GET", "/endpoint-expiry", OF_FALCON),
        (f"read:{FLAN}", "GET", "/endpoint-events", OF_FALCON),
        (f"read:{FLAN}", "GET", "/endpoint-schedule", OF_FALCON),
        ("read renew invoke", "DELETE", "/endpoint-schedule", OF_FALCON),
        (f"manage:{FLAN}", "PUT", "/endpoint-schedule", BOTH),
        ("read renew manage", "POST", "/startexecution", CALL),
        (f"invoke:{FLAN}", "POST", "/startexecution", CALL),
        ("read renew manage", "POST", "/flan", PROMPT),
        (f"invoke:{FALCON}", "POST", "/flan", PROMPT),
    ],
)
def test_missing_scope_is_403_also_with_a_cached_policy(
    guarded: Guarded, scopes: str, method: str, path: str, sent: Mapping[str, Any]
) -> None:
    secret = guarded.token(scopes)
    guarded.with_token(secret, "GET", "/endpoint-expiry")  # a call of another route fills the cache
    for _ in range(2):
        answer = guarded.with_token(secret, method, path, **sent)
        assert (answer.status_code, code_of(answer)) in {(403, "ScopeMissing"), (403, "Forbidden")}


def test_user_has_only_the_scopes_of_the_groups(guarded: Guarded) -> None:
    reader = guarded.signed_in("readers")["AccessToken"]
    assert guarded.with_token(reader, *LIST).status_code == 200
    answer = guarded.with_token(reader, "POST", "/endpoint-expiry", **RENEWAL)
    assert (answer.status_code, code_of(answer)) == (403, "ScopeMissing")
    assert guarded.with_token(reader, "POST", "/flan", **PROMPT).status_code == 403


def test_revoked_token_stops_working_when_the_cached_answer_expires(guarded: Guarded) -> None:
    def refused() -> bool:
        return guarded.with_token(guarded.revoked, *LIST).status_code == 403

    left = guarded.revoked_at + CACHED_SECONDS + 5 - time.monotonic()
    until(refused, max(left, 1), every=0.5)  # its turn may come later than that


def test_no_secret_is_in_any_log(guarded: Guarded) -> None:
    logs = guarded.checkout.client("logs")
    pages = logs.get_paginator("describe_log_groups").paginate()
    groups = [group["logGroupName"] for page in pages for group in page["logGroups"]]
    assert "/aws/lambda/demo-authorizer" in groups
    texts = {}
    for group in groups:
        events = logs.get_paginator("filter_log_events").paginate(logGroupName=group)
        texts[group] = "\n".join(each["message"] for page in events for each in page["events"])
    home = guarded.checkout.folder / ".local"
    kept = {home / "stack.json", home / "tokens.json"}  # only their owner may read them
    for path in {*home.glob("log/*"), *home.glob("*.*")} - kept:
        if path.is_file():
            texts[str(path)] = path.read_text(errors="replace")
    lines = [json.loads(line) for line in texts["/aws/apigateway/demo-api"].splitlines()]
    assert {line["status"] for line in lines} >= {"200", "401", "403"}
    assert "denied: " in texts["/aws/lambda/demo-authorizer"]
    assert len(guarded.secrets) > 40
    for secret in guarded.secrets:
        # The header of a JWT is no secret; claims and signature are.
        telling = [part for part in secret.split(".")[1:] if part] or [secret]
        found = [place for place, text in texts.items() if any(part in text for part in telling)]
        assert not found
