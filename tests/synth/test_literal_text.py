"""What people write in a config is what Terraform deploys, whatever the text: or it is refused."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import main
from constructs_lib.config.file import parse
from constructs_lib.config.problems import InvalidConfig, Problem
from constructs_lib.integration_packages import integration_packages
from constructs_lib.literal_text import literal
from constructs_lib.models_lock import ModelsLock
from constructs_lib.policy import literal as literal_for_iam
from tests.contract.emulator_process import Emulator
from tests.synth.config_texts import ENTRIES, STACK, Field, Place, fields, schema_paths, with_text
from tests.synth.conftest import Synthesize
from tests.synth.entries import OWN
from tests.synth.synthesis import config_with, synthesize
from tests.synth.terraform import Terraform, without_backend

TEMPLATES = ("${", "%{", "$${", "%%{", "${path.module}", "%{ if true }", "${aws:username}")
PIECES = (
    *TEMPLATES, "$", "%", "{", "}", '"', "'", "\\", "\\n", "\n", "\r\n", "\t", " ", "*", "?", "#{",
    "<", "é", "日本", "🦕", "٣", "~", "\u2028", "\\u0041", "${TfToken[TOKEN.0]}", "e\u0301",
)  # fmt: skip
STRINGS_OF_A_FIELD = 12
NOT_DEPLOYED = {".$schema", ".backend.key"}
"""Fields of which Terraform plans nothing. The second is of its own state, and takes no braces."""
PROVIDED = ("backend", "provider", "kms_key_arn", "former_kms_key_arns")


@dataclass(frozen=True)
class Written:
    """A text in a field. `mark` is a part of it that no other text has."""

    field: Field
    mark: str
    text: str


def written() -> Iterator[Written]:
    """Texts for each field: the value that an example has, and what Terraform could read."""
    for number, (path, field) in enumerate(sorted(fields().items())):
        at = random.Random(path)  # noqa: S311  # repeatable on purpose
        value = str(field.place[-2] if field.place[-1] == "{key}" else value_at(field))
        for index in range(STRINGS_OF_A_FIELD):
            mark = f"q{number}x{index}q"
            pieces = at.choices(PIECES, k=at.randint(0, 3))
            nasty = "".join(at.sample([*pieces, at.choice(TEMPLATES), mark], len(pieces) + 2))
            cut = at.randint(0, len(value))
            within = value[:cut] + nasty + value[cut:]
            yield Written(field, mark, (nasty, value + nasty, within)[index % 3])


def value_at(field: Field) -> object:
    value: Any = ENTRIES[field.entry] if field.entry else STACK
    for part in field.place:
        value = value[part]
    return value


def document(one: Written) -> dict[str, Any]:
    """A config with the text and little else."""
    if not one.field.entry:
        return {**with_text(STACK, one.field.place, one.text), "jumpstart_models": []}
    return config_with(with_text(ENTRIES[one.field.entry], one.field.place, one.text))


def refusal(one: Written) -> str | None:
    """Where a config with the text is refused."""
    try:
        config = parse(document(one))
        lock = ModelsLock.read(main.PROJECT / "configs" / "models.lock.json", config.region_name)
        lock.resolve(config)
        if one.field.path.endswith((".lambda_src", ".handler")):
            integration_packages(config, main.PROJECT, main.CACHE)
    except InvalidConfig as error:
        return "\n".join(problem.path for problem in error.problems)
    return None


def test_every_string_of_the_schema_is_tried() -> None:
    assert set(fields()) == schema_paths()
    assert len(list(written())) > 2_000


@pytest.fixture(scope="module")
def accepted() -> list[Written]:
    return [one for one in written() if refusal(one) is None]


def test_a_refused_text_is_refused_at_its_field() -> None:
    for one in written():
        paths = refusal(one)
        place = [part for part in one.field.place if isinstance(part, str) and part != "{key}"]
        assert paths is None or any(part in paths for part in place), (one, paths)


def test_half_a_character_is_refused_in_each_string() -> None:
    for field in fields().values():
        found = problems_with(field, "a\ud800")
        assert [p for p in found if p.sentence.startswith("holds half of a character")], field


def test_no_variable_holds_a_null_character() -> None:
    of_variables = [f for path, f in fields().items() if path.endswith(".environment{}")]
    assert len(of_variables) > 3
    for field in of_variables:
        found = [p for p in problems_with(field, "a\0b") if "U+0000" in p.sentence]
        assert [p.path.endswith(".environment.SETTING") for p in found] == [True], field


def problems_with(field: Field, text: str) -> Sequence[Problem]:
    with pytest.raises(InvalidConfig) as refused:
        parse(document(Written(field, "", text)))
    assert str(refused.value).encode()  # can be printed
    return refused.value.problems


@pytest.mark.parametrize(
    ("text", "template"),
    [
        ("${x} %{y}", "$${x} %%{y}"),
        ("$${x}", "$$${x}"),
        ("$ % { }", "$ % { }"),
        ("a ${TfToken[TOKEN.1]} ${x}", "a ${TfToken[TOKEN.1]} $${x}"),
        ("a$$${TfToken[TOKEN.1]}", 'a${"$"}${"$"}${TfToken[TOKEN.1]}'),
    ],
)
def test_all_but_the_references_of_cdktf_is_literal(text: str, template: str) -> None:
    assert literal(text) == template


def test_iam_reads_neither_wildcards_nor_variables_in_a_key(stack_of: Synthesize) -> None:
    data = "s3://our-models/${aws:username}/*/a?b.tar.gz"
    stack = stack_of(config_with({**OWN, "model_data_url": data}))
    (role,) = [role for role in stack.all("aws_iam_role_policy") if role.startswith("Boston_")]
    (reading,) = [s for s in stack.statements(role) if s["Action"] == ["s3:GetObject"]]
    key = reading["Resource"][0].partition(":s3:::our-models/")[2]
    assert key == "$${$}{aws:username}/$${*}/a$${?}b.tar.gz"


@pytest.mark.slow
def test_terraform_plans_the_texts_as_they_were_written(
    accepted: Sequence[Written],
    terraform: Terraform,
    emulator: Emulator,
    tmp_path: Path,
) -> None:
    config, shown = stack_with(accepted)
    (tmp_path / "config.json").write_text(json.dumps(config))
    here = terraform.with_aws(emulator)
    here.take(without_backend(synthesize(tmp_path / "config.json", tmp_path / "out")))
    here.assert_valid()
    here.run("plan", "-input=false", "-out", "plan")
    plan = json.loads(here.run("show", "-json", "plan"))
    found = list(texts_in(plan["planned_values"]))
    assert len(shown) > 120
    for one in shown:
        planned = [text for text in found if one.mark in text]
        assert planned, one
        for text in planned:
            assert one.text in text or literal_for_iam(one.text.split("/", 3)[-1]) in text, one


def stack_with(texts: Sequence[Written]) -> tuple[dict[str, Any], list[Written]]:
    """One config with all the texts: as many copies of each entry as its fields need."""
    by_field: dict[str, list[Written]] = defaultdict(list)
    for one in texts:
        if one.field.path not in NOT_DEPLOYED:
            by_field[one.field.path].append(one)
    stack: dict[str, Any] = {key: value for key, value in STACK.items() if key not in PROVIDED}
    emails = by_field.pop(".alarm_emails[]")
    stack["alarm_emails"] = [one.text for one in emails]
    shown, made = [*emails], list[dict[str, Any]]()
    for entry, example in ENTRIES.items():
        waiting = [found for found in by_field.values() if found and found[0].field.entry == entry]
        while any(waiting):
            document = dict(example)
            for of_field in filter(None, waiting):
                one = of_field.pop()
                document = with_text(document, one.field.place, one.text)
                shown.append(one)
                if one.field.path.endswith(".environment{}"):
                    more = [of_field.pop() for _ in range(min(3, len(of_field)))]
                    within_environment(document, one.field.place).update(
                        {f"MORE_{number}": each.text for number, each in enumerate(more)}
                    )
                    shown += more
            made.append(renamed(document, len(made)))
    return {**stack, "jumpstart_models": made}, shown


def within_environment(document: Any, place: Place) -> dict[str, str]:
    for part in place[:-1]:
        document = document[part]
    return document  # type: ignore[no-any-return]


def renamed(entry: Mapping[str, Any], number: int) -> dict[str, Any]:
    integration = entry.get("integration")
    made = {**entry, "name": f"E{number}"}
    if integration:
        properties = {**integration["properties"], "api_resource_name": f"e{number}"}
        made["integration"] = {**integration, "properties": properties}
    return made


def texts_in(value: object) -> Iterator[str]:
    """All strings of a JSON document, and those of the JSON in them."""
    if isinstance(value, dict):
        for below in value.values():
            yield from texts_in(below)
    elif isinstance(value, list):
        for below in value:
            yield from texts_in(below)
    elif isinstance(value, str):
        try:
            yield from texts_in(json.loads(value))
        except ValueError:
            yield value
