"""The forms of JSON documents: which values they take, what they say of others, their schemas."""

from __future__ import annotations

from typing import Any

import pytest

from lambdas.core.errors import InvalidField
from lambdas.core.json_form import (
    MAX_FLOAT,
    Choice,
    Each,
    Fields,
    Flag,
    Form,
    Number,
    Text,
    refuse,
)

COLOURS = Choice(("RED", "GREEN", "BLUE"))
PERSON = Fields({"Name": Text(1, 5), "Age": Number(0, 120, "years")}, frozenset({"Name"}))


@pytest.mark.parametrize(
    ("form", "value"),
    [
        (Flag(), True),
        (Flag(), False),
        (Number(1), 1),
        (Number(1), 2_147_483_647),
        (Number(0, 1, whole=False), 0.5),
        (Number(0, 1, whole=False), 1),
        (Number(0, MAX_FLOAT, whole=False), 3.4e38),
        (Text(1, 3), "a"),
        (Text(1, 3), "abc"),
        (COLOURS, "GREEN"),
        (Each(Flag()), []),
        (Each(Flag(), 1, 2), [True]),
        (Each(Flag(), 1, 2), [True, False]),
        (PERSON, {"Name": "Ann"}),
        (PERSON, {"Name": "Ann", "Age": 120}),
    ],
)
def test_value_that_fits_has_no_problem(form: Form, value: object) -> None:
    assert list(form.problems(value, "x")) == []


@pytest.mark.parametrize(
    ("form", "value", "sentences"),
    [
        (Flag(), 1, ["x: must be true or false, not 1"]),
        (Flag(), None, ["x: must be true or false, not null"]),
        (Number(1), 0, ["x: must be a whole number, 1 to 2147483647, not 0"]),
        (Number(1, 9), 10, ["x: must be a whole number, 1 to 9, not 10"]),
        (Number(1), True, ["x: must be a whole number, 1 to 2147483647, not true"]),
        (Number(0, 9), 1.5, ["x: must be a whole number, 0 to 9, not 1.5"]),
        (Number(0, 9, "seconds"), "1", ["x: must be a whole number of seconds, 0 to 9, not '1'"]),
        (Number(0, 1, whole=False), float("nan"), ["x: must be a number, 0 to 1, not nan"]),
        (Text(1, 3), "", ["x: must be 1 to 3 characters, not all of them blank, not ''"]),
        (Text(1, 3), "abcd", ["x: must be 1 to 3 characters, not all of them blank, not 'abcd'"]),
        (Text(1, 3), "  ", ["x: must be 1 to 3 characters, not all of them blank, not '  '"]),
        (Text(1, 3), [], ["x: must be 1 to 3 characters, not all of them blank, not an array"]),
        (COLOURS, "gren", ["x: must be RED, GREEN or BLUE, not 'gren'; did you mean GREEN?"]),
        (COLOURS, {}, ["x: must be RED, GREEN or BLUE, not an object"]),
        (Each(Flag()), {}, ["x: must be an array [...], not an object"]),
        (Each(Flag(), 1), [], ["x: must have 1 or more entries, not 0"]),
        (Each(Flag(), 1, 2), [True] * 3, ["x: must have 1 to 2 entries, not 3"]),
        (
            Each(Flag()),
            [True, 0, 1],
            ["x[1]: must be true or false, not 0", "x[2]: must be true or false, not 1"],
        ),
        (PERSON, [], ["x: must be an object {...}, not an array"]),
        (PERSON, {}, ["x.Name: is required"]),
        (PERSON, {"Name": "Ann", "Aeg": 1}, ["x.Aeg: unknown key; did you mean 'Age'?"]),
        (PERSON, {"Name": "Ann", "q": 1}, ["x.q: unknown key; known here: Name, Age"]),
        (
            PERSON,
            {"Age": 121},
            ["x.Name: is required", "x.Age: must be a whole number of years, 0 to 120, not 121"],
        ),
    ],
)
def test_problem_says_where_it_is_and_what_is_right(
    form: Form, value: object, sentences: list[str]
) -> None:
    assert [str(problem) for problem in form.problems(value, "x")] == sentences


def test_fields_of_the_document_itself_have_bare_names() -> None:
    assert [problem.field for problem in PERSON.problems({"q": 1})] == ["q", "Name"]


@pytest.mark.parametrize(("length", "shown"), [(58, "'{}'"), (59, "'{}...")])
def test_long_value_is_shown_shortened(length: int, shown: str) -> None:
    (problem,) = Flag().problems("y" * length, "x")

    text = shown.format("y" * (length if length == 58 else 56))
    assert problem.sentence == f"must be true or false, not {text}"


@pytest.mark.parametrize(
    ("form", "schema"),
    [
        (Flag(), {"type": "boolean"}),
        (Number(1, 9), {"type": "integer", "minimum": 1, "maximum": 9}),
        (Number(0, 1, whole=False), {"type": "number", "minimum": 0, "maximum": 1}),
        (Text(1, 3), {"type": "string", "minLength": 1, "maxLength": 3}),
        (COLOURS, {"type": "string", "enum": ["RED", "GREEN", "BLUE"]}),
        (Each(Flag(), 1), {"type": "array", "items": {"type": "boolean"}, "minItems": 1}),
        (
            Each(Flag(), 0, 2),
            {"type": "array", "items": {"type": "boolean"}, "minItems": 0, "maxItems": 2},
        ),
        (
            Fields({"b": Flag(), "a": Flag()}, frozenset({"b", "a"})),
            {
                "type": "object",
                "properties": {"b": {"type": "boolean"}, "a": {"type": "boolean"}},
                "additionalProperties": False,
                "required": ["a", "b"],
            },
        ),
        (Fields({}), {"type": "object", "properties": {}, "additionalProperties": False}),
    ],
)
def test_schema_says_the_same_limits(form: Form, schema: dict[str, Any]) -> None:
    assert form.schema() == schema


def test_all_problems_are_refused_at_once_in_the_name_of_the_first() -> None:
    with pytest.raises(InvalidField) as refused:
        refuse(PERSON.problems({"q": 1}, "x"))

    assert refused.value.field == "x.q"
    assert str(refused.value) == "x.q: unknown key; known here: Name, Age; x.Name: is required"
    refuse([])
