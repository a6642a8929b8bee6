"""Lists of name patterns with `*`."""

from __future__ import annotations

import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdas.core.errors import InvalidField
from lambdas.core.name_patterns import ANY_NAME, MAX_PATTERNS, NamePatterns

TEXT = st.text("aB1-", min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("patterns", "name", "allowed"),
    [
        (("team-a-*",), "team-a-1", True),
        (("team-a-*",), "Team-A-1", True),
        (("TEAM-a-*",), "team-a-", True),
        (("team-a-*",), "team-b-1", False),
        (("team-a-*",), "my-team-a-1", False),
        (("*",), "anything", True),
        (("exact",), "exact", True),
        (("exact",), "exactly", False),
        (("a*c*e",), "abcde", True),
        (("a*c*e",), "abde", False),
        (("x", "y*"), "yes", True),
        ((), "anything", False),
    ],
)
def test_name_is_allowed_if_a_pattern_matches_it_completely(
    patterns: tuple[str, ...], name: str, allowed: bool
) -> None:
    assert NamePatterns(patterns).allows(name) is allowed


def test_without_patterns_every_name_is_allowed() -> None:
    assert ANY_NAME.allows("anything")
    assert NamePatterns.parse(None, "adoptable") == ANY_NAME


@given(st.lists(st.text("aB1-*", min_size=1, max_size=8), max_size=4), TEXT)
def test_patterns_match_as_in_the_shell_without_regard_to_case(
    patterns: list[str], name: str
) -> None:
    expected = any(fnmatch.fnmatchcase(name.lower(), each.lower()) for each in patterns)
    assert NamePatterns(tuple(patterns)).allows(name) is expected


@pytest.mark.parametrize("patterns", [None, (), ("a-*", "b")])
def test_patterns_survive_storage_in_the_environment(patterns: tuple[str, ...] | None) -> None:
    assert NamePatterns.stored(str(NamePatterns(patterns))) == NamePatterns(patterns)


@pytest.mark.parametrize("wrong", ["", "a b", "ä*", "-a", "a" * 64, "a?b", "[ab]", "a/b"])
def test_pattern_that_can_match_no_name_is_refused_with_its_position(wrong: str) -> None:
    with pytest.raises(InvalidField) as refusal:
        NamePatterns.parse(["fine", wrong], "adoptable")
    assert refusal.value.field == "adoptable[1]"


def test_more_patterns_than_fit_a_functions_environment_are_refused() -> None:
    assert NamePatterns.parse(["a"] * MAX_PATTERNS, "adoptable").allows("a")
    with pytest.raises(InvalidField, match="at most 20"):
        NamePatterns.parse(["a"] * (MAX_PATTERNS + 1), "adoptable")
