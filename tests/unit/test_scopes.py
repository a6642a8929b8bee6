"""Scopes: what a token may do, for all endpoints or for some."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdas.core.errors import InvalidField
from lambdas.core.scopes import MAX_SCOPES, SCOPES, Scope, Scopes

NAMES = st.from_regex(r"[a-zA-Z0-9]{1,8}(-[a-zA-Z0-9]{1,8})?", fullmatch=True)
GRANTS = st.tuples(st.sampled_from(SCOPES), st.none() | NAMES)
TEXTS = st.lists(GRANTS, min_size=1, max_size=12).map(
    lambda grants: " ".join(scope if name is None else f"{scope}:{name}" for scope, name in grants)
)


@pytest.mark.parametrize(
    ("text", "scope", "endpoint", "allowed"),
    [
        ("read", "read", None, True),
        ("read", "read", "any", True),
        ("read", "renew", "any", False),
        ("read manage", "invoke", None, False),
        ("renew:a", "renew", "a", True),
        ("renew:demo-FlanT5-Endpoint", "renew", "DEMO-flant5-ENDPOINT", True),
        ("renew:a", "renew", "b", False),
        ("renew:a", "renew", "a-b", False),
        ("renew:a-b", "renew", "a", False),
        ("renew:a", "renew", None, False),
        ("renew:a", "read", "a", False),
        ("renew:a renew", "renew", "b", True),
        ("read:a renew:b", "read", "b", False),
        ("read:a renew:b", "renew", "", False),
    ],
)
def test_a_scope_covers_its_endpoints_and_no_other(
    text: str, scope: Scope, endpoint: str | None, allowed: bool
) -> None:
    assert Scopes.parse(text).allows(scope, endpoint) is allowed


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "give 1 to 50"),
        ("   ", "give 1 to 50"),
        ("write", "'write' is no scope; there are read, renew, add, manage, invoke"),
        ("Read", "'Read' is no scope"),
        ("*", "no scope"),
        ("read,renew", "no scope"),
        ("read:", "must be 1 to 63"),
        ("read:a:b", "must be 1 to 63"),
        ("read:*", "must be 1 to 63"),
        ("read:../a", "must be 1 to 63"),
        ("read:ä", "must be 1 to 63"),
        (":a", "no scope"),
        (" ".join(f"read:e{number}" for number in range(MAX_SCOPES + 1)), "give 1 to 50"),
    ],
)
def test_an_unknown_scope_is_refused_and_named(text: str, expected: str) -> None:
    with pytest.raises(InvalidField, match=r"^scopes") as refused:
        Scopes.parse(text)
    assert expected in str(refused.value)


def test_stored_words_that_are_no_scopes_allow_nothing() -> None:
    assert Scopes.stored("admin * read:* read: READ") == Scopes()
    assert str(Scopes.stored("admin renew read:*")) == "renew"
    assert not any(Scopes.stored("").allows_some(scope) for scope in SCOPES)


def test_text_is_canonical_and_leaves_out_scopes_covered_by_others() -> None:
    assert str(Scopes.parse("renew:B read renew:a read read:x renew:b")) == "read renew:a renew:b"
    assert str(Scopes.every()) == "read renew add manage invoke"


@given(TEXTS)
def test_parsing_the_text_gives_the_same_scopes(text: str) -> None:
    scopes = Scopes.parse(text)
    assert Scopes.parse(str(scopes)) == Scopes.stored(str(scopes)) == scopes


@given(TEXTS, st.sampled_from(SCOPES), NAMES)
def test_all_methods_of_scopes_agree(text: str, scope: Scope, name: str) -> None:
    scopes = Scopes.parse(text)
    endpoints = scopes.endpoints(scope)
    assert scopes.allows(scope) is (endpoints is None)
    assert scopes.allows(scope, name) is (endpoints is None or name.casefold() in endpoints)
    assert scopes.allows_some(scope) is (endpoints is None or bool(endpoints))


@given(TEXTS, TEXTS, st.sampled_from(SCOPES), st.none() | NAMES)
def test_a_union_allows_what_either_part_allows(
    one: str, other: str, scope: Scope, name: str | None
) -> None:
    first, second = Scopes.parse(one), Scopes.parse(other)
    allowed = first.allows(scope, name) or second.allows(scope, name)
    assert (first | second).allows(scope, name) is allowed


@given(st.text())
def test_any_text_is_parsed_or_refused(text: str) -> None:
    with contextlib.suppress(InvalidField):
        Scopes.parse(text)
    Scopes.stored(text)
