from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import main
from constructs_lib.canonical import canonical
from constructs_lib.config.checks import RESERVED_ROUTES
from constructs_lib.config.document import DeployConfig, JumpstartModel
from constructs_lib.config.file import MAX_SPEC_BYTES, load, notes, parse, read_json
from constructs_lib.config.problems import InvalidConfig
from constructs_lib.config.schema import SCHEMA_FILE, schema_text
from constructs_lib.models_lock import ModelsLock
from lambdas.core.schedule import Schedule
from lambdas.core.user_pool import DNS_SUFFIXES
from tests.json_schemas import unbounded
from tests.synth.entries import IMAGE
from tests.synth.synthesis import COMBINED, DEFAULT, EXAMPLES, FLAN, config_with

OF_THE_EMBEDDED_STACK = main.PROJECT / "local" / "overlay.json"
NOON = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
WORKDAYS = {
    "name": "workdays",
    "start_time": "09:00",
    "stop_time": "17:00",
    "days": ["mon", "fri"],
    "timezone": "Australia/Melbourne",
}


def problems(document: dict[str, Any]) -> list[str]:
    with pytest.raises(InvalidConfig) as caught:
        parse(document)
    return [str(problem) for problem in caught.value.problems]


def api(route: str) -> dict[str, Any]:
    return {"type": "api", "properties": {"api_resource_name": route}}


def with_schedule(**changes: Any) -> dict[str, Any]:
    entry = {**WORKDAYS, **changes}
    return config_with(
        {**FLAN, "schedule": [{key: value for key, value in entry.items() if value is not None}]}
    )


@pytest.mark.parametrize("example", [DEFAULT, *EXAMPLES], ids=lambda path: path.stem)
def test_every_shipped_config_loads_and_is_locked(example: Path) -> None:
    config = load(example)
    lock = ModelsLock.read(main.PROJECT / "configs" / "models.lock.json", config.region_name)
    assert all(model.image for model in lock.resolve(config).values())


def test_every_setting_of_an_entry_is_shown_by_an_example() -> None:
    entries = [e for path in (DEFAULT, *EXAMPLES) for e in load(path).jumpstart_models]
    parts = [part for e in entries for part in (e, *(e.variants or ()), *e.shadow_variants)]
    shown = {field for part in parts for field in part.model_fields_set}
    assert set(JumpstartModel.model_fields) - shown == {
        "model_version",  # no example pins a version
    }


def without_unique_names(entry: Mapping[str, Any]) -> str:
    """An entry as text, without the names that must be unique in one config."""
    text = json.dumps({**entry, "name": ""}, sort_keys=True)
    return re.sub(r'("api_resource_name": ")[^"]*', r"\1", text)


def test_one_config_combines_all_examples() -> None:
    combined = [without_unique_names(entry) for entry in read_json(COMBINED)["jumpstart_models"]]
    for path in EXAMPLES:
        if path != COMBINED:
            for entry in read_json(path)["jumpstart_models"]:
                assert without_unique_names(entry) in combined, path.stem


def test_the_schema_for_editors_is_current() -> None:
    assert SCHEMA_FILE.read_text() == schema_text(), "run `make schema`"


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (
            config_with({**FLAN, "shedule": {}}),
            "jumpstart_models[0].shedule: unknown key; did you mean 'schedule'?",
        ),
        (
            config_with({**FLAN, "schedule": {"initial_provision_minute": 5}}),
            (
                "jumpstart_models[0].schedule.initial_provision_minute: unknown key; "
                "did you mean 'initial_provision_minutes'?"
            ),
        ),
        (
            with_schedule(start="09:00"),
            "jumpstart_models[0].schedule[0].start: unknown key; did you mean 'start_time'?",
        ),
        (
            config_with(lambda_={}),
            "lambda_: unknown key; did you mean 'lambda'?",
        ),
        (
            config_with(FLAN, colour="red"),
            "colour: unknown key; known here: "
            + ", ".join(sorted(f.alias or key for key, f in DeployConfig.model_fields.items())),
        ),
        (
            with_schedule(days=["mon", "tues"]),
            (
                "jumpstart_models[0].schedule[0].days[1]: must be one of mon, tue, wed, thu, fri, "
                "sat, sun, one of them after first, second, third, fourth, fifth, last (such as "
                "'first mon'), or a day of the month from 1 to 31"
            ),
        ),
        (
            with_schedule(minutes=60, start_time=None, stop_time=None),
            (
                "jumpstart_models[0].schedule[0].start_time: is required with `minutes`: when do "
                "windows begin?"
            ),
        ),
        (
            with_schedule(date="31/12/2030"),
            (
                "jumpstart_models[0].schedule[0].days: give either `days` or `date`, not both and "
                "not neither"
            ),
        ),
        (
            with_schedule(days=None, date="31/02/2030"),
            "jumpstart_models[0].schedule[0].date: '31/02/2030' is no day of the calendar",
        ),
        (
            with_schedule(except_dates=["25/12/2030", "2030-12-26"]),
            (
                "jumpstart_models[0].schedule[0].except_dates[1]: must be a date 'dd/mm/yyyy', "
                "such as '31/12/2027'"
            ),
        ),
        (
            with_schedule(start_time="9:00"),
            (
                "jumpstart_models[0].schedule[0].start_time: must be a time 'hh:mm' from 00:00 to "
                "23:59, such as '09:00'"
            ),
        ),
        (
            with_schedule(timezone="Melbourne"),
            (
                "jumpstart_models[0].schedule[0].timezone: must be a TZ identifier such as "
                "'Australia/Melbourne' or 'UTC'"
            ),
        ),
        (
            config_with({**FLAN, "schedule": [WORKDAYS, WORKDAYS]}),
            "jumpstart_models[0].schedule[1].name: 'workdays' is used twice; rename one",
        ),
        (
            config_with(FLAN, {**FLAN, "name": "flant5"}),
            (
                "jumpstart_models[1].name: 'flant5' is taken by jumpstart_models[0] already; names "
                "of models differ in more than case"
            ),
        ),
        (
            config_with(
                {**FLAN, "integration": api("flan")},
                {**FLAN, "name": "B", "integration": api("flan")},
            ),
            (
                "jumpstart_models[1].integration.properties.api_resource_name: 'flan' is taken by "
                "jumpstart_models[0] already; each route leads to one model"
            ),
        ),
        (
            config_with({**FLAN, "integration": api("health")}),
            (
                "jumpstart_models[0].integration.properties.api_resource_name: 'health' is a route "
                "of this product; choose another name"
            ),
        ),
        (
            config_with({**FLAN, "integration": api("..")}),
            (
                "jumpstart_models[0].integration.properties.api_resource_name: must be 1 to 64 "
                "letters, digits, '.', '_' or '-', and not only dots: it becomes the path of the "
                "model's API, not '..'"
            ),
        ),
        (
            config_with({**FLAN, "inference_instance_type": ["ml.m5.large"]}),
            "jumpstart_models[0].inference_instance_type: must be a string",
        ),
        (
            config_with({**FLAN, "integration": {**api("flan"), "type": "lamda"}}),
            (
                "jumpstart_models[0].integration.type: must be one of 'lambda', 'api', not "
                "'lamda'; did you mean 'lambda'?"
            ),
        ),
        (
            config_with({**FLAN, "integration": {**api("flan"), "type": "lambda"}}),
            (
                "jumpstart_models[0].integration.properties.lambda_src: is required where `type` "
                "is 'lambda': the folder of the handler, such as 'functions/falcon'; or give an "
                "`image_uri`"
            ),
        ),
        (
            config_with({**FLAN, "inference_type": "real-time"}),
            (
                "jumpstart_models[0].inference_type: must be one of 'realtime', 'async', not "
                "'real-time'; did you mean 'realtime'?"
            ),
        ),
        (
            config_with({**FLAN, "inference_instance_type": "g5.12xlarge"}),
            (
                "jumpstart_models[0].inference_instance_type: must be an instance type such as "
                "'ml.g5.12xlarge', not 'g5.12xlarge'"
            ),
        ),
        (
            config_with({**FLAN, "name": "Flan_T5"}),
            (
                "jumpstart_models[0].name: makes the endpoint name 'demo-Flan_T5-Endpoint', which "
                "must be 1 to 63 letters, digits or hyphens, beginning and ending with a letter or "
                "digit"
            ),
        ),
        (
            config_with(
                {**FLAN, "schedule": {"initial_provision_minutes": 61}}, max_lease_minutes=60
            ),
            (
                "jumpstart_models[0].schedule.initial_provision_minutes: must be at most 60 "
                "(max_lease_minutes)"
            ),
        ),
        (
            config_with({**FLAN, "schedule": {"initial_provision_minutes": -1}}),
            "jumpstart_models[0].schedule.initial_provision_minutes: must be at least 0, not -1",
        ),
        (
            config_with({**FLAN, "schedule": {"initial_provision_minutes": True}}),
            (
                "jumpstart_models[0].schedule.initial_provision_minutes: must be a whole number, "
                "not true"
            ),
        ),
        (
            config_with({**FLAN, "schedule": "always"}),
            "jumpstart_models[0].schedule: must be an object {...}, not 'always'",
        ),
        (
            config_with({**FLAN, "async_api_enabled": "yes"}),
            "jumpstart_models[0].async_api_enabled: must be true or false, not 'yes'",
        ),
        (
            config_with({"name": "X"}),
            (
                "jumpstart_models[0].model_id: is required, or one of `model_package_arn`, "
                "`image`, `containers`, `variants`"
            ),
        ),
        (
            config_with(FLAN, project_prefix="1demo"),
            (
                "project_prefix: must be 1 to 30 letters, digits and single hyphens, beginning "
                "with a letter and not ending with a hyphen, such as 'demo', not '1demo'"
            ),
        ),
        (
            config_with(FLAN, region_name="Ireland"),
            "region_name: must be an AWS region such as 'us-east-1', not 'Ireland'",
        ),
        (
            config_with(FLAN, ddb_auth_table_name="demo-state"),
            "ddb_auth_table_name: 'demo-state' is a table of this product; rename it",
        ),
        (
            config_with(FLAN, destroy_wait_seconds=841),
            "destroy_wait_seconds: must be at most 840, not 841",
        ),
        (
            config_with(FLAN, backend={"type": "s4"}),
            "backend: must be one of 'local', 's3', not 's4'",
        ),
        (
            config_with(FLAN, backend={"type": "s3", "bucket": "states"}),
            "backend.key: is required",
        ),
        (
            config_with({**FLAN, "instance_type_fallbacks": ["ml.g5.12xlarge"]}),
            (
                "jumpstart_models[0].instance_type_fallbacks[0]: 'ml.g5.12xlarge' is "
                "inference_instance_type already; where that finds no capacity, name another"
            ),
        ),
        (
            config_with({**FLAN, "instance_type_fallbacks": ["ml.g5.24xlarge", "ml.g5.24xlarge"]}),
            (
                "jumpstart_models[0].instance_type_fallbacks[1]: 'ml.g5.24xlarge' is "
                "instance_type_fallbacks[0] already; where that finds no capacity, name another"
            ),
        ),
        (
            config_with({**FLAN, "instance_type_fallbacks": ["g5"]}),
            (
                "jumpstart_models[0].instance_type_fallbacks[0]: must be an instance type such as "
                "'ml.g5.12xlarge', not 'g5'"
            ),
        ),
        (
            config_with({**FLAN, "instance_type_fallbacks": [f"ml.p{n}.large" for n in range(6)]}),
            ("jumpstart_models[0].instance_type_fallbacks: has 6 entries, and at most 5 go in"),
        ),
        (
            config_with(
                {
                    **FLAN,
                    "autoscaling": {
                        "min_capacity": 3,
                        "max_capacity": 2,
                        "invocations_per_instance": 10,
                    },
                }
            ),
            "jumpstart_models[0].autoscaling.min_capacity: must be at most 2 (max_capacity)",
        ),
        (
            config_with(
                {**FLAN, "autoscaling": {"max_capacity": 2, "invocations_per_instance": 0}}
            ),
            "jumpstart_models[0].autoscaling.invocations_per_instance: must be at least 1, not 0",
        ),
        (
            config_with({**FLAN, "autoscaling": {"max_capacity": 2}}),
            "jumpstart_models[0].autoscaling.invocations_per_instance: is required",
        ),
        (
            config_with({**FLAN, "autoscaling": {"max_capcity": 2, "invocations_per_instance": 1}}),
            (
                "jumpstart_models[0].autoscaling.max_capcity: unknown key; did you mean "
                "'max_capacity'?"
            ),
        ),
        (
            config_with({**FLAN, "tags": {"AWS:team": "nlp"}}),
            "jumpstart_models[0].tags: 'AWS:team': keys that begin with 'aws:' belong to AWS",
        ),
        (
            config_with({**FLAN, "tags": {"endpoint-meter:stack": "x"}}),
            (
                "jumpstart_models[0].tags: 'endpoint-meter:stack' is this product's own tag, "
                "which it puts on by itself"
            ),
        ),
        (
            config_with({**FLAN, "tags": {"team!": "nlp"}}),
            (
                "jumpstart_models[0].tags: 'team!': a key is 1 to 128 letters, digits, blanks or "
                "any of _ . : / = + - @"
            ),
        ),
        (
            config_with({**FLAN, "tags": {"team": "nlp, vision"}}),
            (
                "jumpstart_models[0].tags.team: 'nlp, vision': a value is letters, digits, blanks "
                "or any of _ . : / = + - @"
            ),
        ),
        (
            config_with({**FLAN, "tags": {f"key-{n}": "" for n in range(50)}}),
            "jumpstart_models[0].tags: has 50 entries, and at most 49 go in",
        ),
        (
            config_with({**FLAN, "tags": {"team": 7}}),
            "jumpstart_models[0].tags.team: must be a string, not 7",
        ),
        (
            config_with(FLAN, unmanaged_endpoints="metre"),
            (
                "unmanaged_endpoints: must be one of 'ignore', 'report', 'meter', not 'metre'; "
                "did you mean 'meter'?"
            ),
        ),
        (
            config_with(FLAN, unmanaged_endpoints="meter"),
            (
                "unmanaged_endpoints: 'meter' needs `adoptable`: the names of endpoints that may "
                'be put on the meter, such as ["team-a-*"]; ["*"] is every endpoint of the '
                "account and region"
            ),
        ),
        (
            config_with(FLAN, adoptable=["team-a-*", "team b"]),
            (
                "adoptable[1]: must be a name of up to 63 letters, digits and hyphens, in which "
                "'*' stands for any characters, such as 'team-a-*'"
            ),
        ),
        (
            config_with(FLAN, addable_configs=["-x"]),
            (
                "addable_configs[0]: must be a name of up to 63 letters, digits and hyphens, in "
                "which '*' stands for any characters, such as 'team-a-*'"
            ),
        ),
        (
            config_with(FLAN, adoptable=[f"team-{number}" for number in range(21)]),
            "adoptable: at most 20 patterns; join some with '*'",
        ),
        (
            config_with(FLAN, max_added_endpoints=1_001),
            "max_added_endpoints: must be at most 1000, not 1001",
        ),
        (
            config_with(FLAN, max_added_per_token_per_day=-1),
            "max_added_per_token_per_day: must be at least 0, not -1",
        ),
        (
            config_with({**FLAN, "tags": {"endpoint-meter:ignore": ""}}),
            (
                "jumpstart_models[0].tags: 'endpoint-meter:ignore' keeps an endpoint off the "
                "meter; take the entry out of the config instead"
            ),
        ),
        (
            config_with(FLAN, unmanaged_lease_minutes=0),
            "unmanaged_lease_minutes: must be at least 1, not 0",
        ),
        (
            config_with(FLAN, late_minutes=4),
            "late_minutes: must be at least 5, not 4",
        ),
        (
            config_with(FLAN, max_lease_minutes=60, unmanaged_lease_minutes=61),
            "unmanaged_lease_minutes: must be at most 60 (max_lease_minutes)",
        ),
        (
            config_with(FLAN, alarm_emails=["nobody"]),
            "alarm_emails[0]: must be an e-mail address, not 'nobody'",
        ),
        (
            config_with(FLAN, **{"lambda": {"architecture": "arm"}}),
            (
                "lambda.architecture: must be one of 'arm64', 'x86_64', not 'arm'; did you mean "
                "'arm64'?"
            ),
        ),
    ],
    ids=lambda value: value[:60] if isinstance(value, str) else "",
)
def test_a_mistake_is_reported_with_its_place_and_what_to_do(
    document: dict[str, Any], expected: str
) -> None:
    assert expected in problems(document)


def test_each_day_that_is_none_is_named_at_once() -> None:
    with pytest.raises(InvalidConfig) as refused:
        parse(with_schedule(days=["fifth mon", 32, "mon", 0, True, 1.0, "noday"]))
    assert [problem.path for problem in refused.value.problems] == [
        f"jumpstart_models[0].schedule[0].days[{index}]" for index in (1, 3, 4, 5, 6)
    ]


def test_all_mistakes_are_reported_together() -> None:
    found = problems(
        config_with(
            {**FLAN, "shedule": {}, "integration": api("health")},
            {**FLAN, "schedule": [{**WORKDAYS, "days": ["monday"], "stop_time": "25:00"}]},
            project_prefix="",
        )
    )
    assert [problem.partition(":")[0] for problem in found] == [
        "jumpstart_models[0].integration.properties.api_resource_name",
        "jumpstart_models[0].shedule",
        "jumpstart_models[1].name",
        "jumpstart_models[1].schedule[0].days[0]",
        "jumpstart_models[1].schedule[0].stop_time",
        "project_prefix",
    ]


@pytest.mark.parametrize("route", sorted(RESERVED_ROUTES))
def test_no_model_may_use_a_route_of_the_product(route: str) -> None:
    assert problems(config_with({**FLAN, "integration": api(route.upper())}))


def test_the_longest_endpoint_name_that_sagemaker_accepts_is_accepted() -> None:
    longest = "a" * (63 - len("demo--Endpoint"))
    assert parse(config_with({**FLAN, "name": longest})).jumpstart_models
    assert problems(config_with({**FLAN, "name": longest + "a"}))


def test_the_error_for_a_model_or_type_that_is_not_locked_names_the_locked_ones() -> None:
    config = parse(
        config_with(
            {**FLAN, "model_id": "gpt-2"},
            {**FLAN, "name": "B", "inference_instance_type": "ml.c5.large"},
        )
    )
    lock = ModelsLock.read(main.PROJECT / "configs" / "models.lock.json", config.region_name)
    with pytest.raises(InvalidConfig) as caught:
        lock.resolve(config)
    first, second = caught.value.problems
    assert "huggingface-text2text-flan-t5-xxl" in first.sentence
    assert "ml.g5.12xlarge" in second.sentence


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": 1,}', "it is not JSON: "),
        ('{"a": 1, "a": 2}', "the key 'a' stands twice in one object; keep one of them"),
        ('{"tags": {"a": NaN}}', "tags.a: NaN is no number of JSON: write a finite one"),
        ('{"late_minutes": -Infinity}', "late_minutes: -Infinity is no number of JSON"),
        ('{"late_minutes": 1e999}', "late_minutes: Infinity is no number of JSON"),
        ("[]", "it must be an object"),
    ],
)
def test_the_error_for_a_file_that_is_no_config_says_why(
    tmp_path: Path, text: str, expected: str
) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(InvalidConfig, match=r".") as caught:
        load(tmp_path / "config.json")
    assert expected in str(caught.value)


def test_a_missing_config_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match="No such file"):
        load(tmp_path / "nothing.json")


def test_an_overlay_changes_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    base = config_with(FLAN, **{"lambda": {"architecture": "x86_64"}})
    (tmp_path / "config.json").write_text(json.dumps(base))
    overlay = {"lambda": {"layer_platform": "host"}, "deletion_protection": False}
    (tmp_path / "overlay.json").write_text(json.dumps(overlay))
    config = load(tmp_path / "config.json", tmp_path / "overlay.json")
    assert config.lambda_.architecture == "x86_64"
    assert config.lambda_.layer_platform == "host"
    assert not config.deletion_protection
    assert config.jumpstart_models[0].name == "FlanT5"


def test_the_embedded_stack_is_deployed_without_the_account_of_the_config(tmp_path: Path) -> None:
    base = config_with(FLAN, provider={"profile": "production"})
    (tmp_path / "config.json").write_text(json.dumps(base))
    assert load(tmp_path / "config.json").provider is not None
    assert load(tmp_path / "config.json", OF_THE_EMBEDDED_STACK).provider is None


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"schedule": [{**WORKDAYS, "name": "a\x1b[2Jb"}]}, "schedule[0].name"),
        ({"model_data_url": "s3://bucket/a\u202eb/"}, "model_data_url"),
        ({"a\tb": 1}, ""),
    ],
    ids=["schedule", "place in S3", "key"],
)
def test_control_characters_are_refused_and_not_printed(change: Any, field: str) -> None:
    with pytest.raises(InvalidConfig) as refused:
        parse(config_with({**FLAN, **change}))
    told = str(refused.value)
    path = re.escape(f"jumpstart_models[0].{field}".rstrip("."))
    assert re.search(rf"{path}: its character \d+ is the control character U\+", told)
    assert not re.search("[\x1b\t\u202e]", told)


def test_values_of_variables_may_have_lines() -> None:
    own = {"name": "Own", "image": IMAGE, "environment": {"TEXT": "a\n\tb"}}
    rest = {"inference_instance_type": "ml.m5.large", "inference_type": "realtime"}
    parse(config_with({**own, **rest}))


def notes_text(config: DeployConfig) -> str:
    return "\n".join(notes(config, NOON))


def test_a_note_says_that_an_entry_without_a_schedule_stays_stopped() -> None:
    assert "it stays stopped until someone renews it" in notes_text(parse(config_with(FLAN)))


@pytest.mark.parametrize(("date", "past"), [("31/05/2026", True), ("01/06/2026", False)])
def test_a_date_in_the_past_is_noted(date: str, past: bool) -> None:
    config = parse(with_schedule(days=None, date=date, timezone="UTC"))
    assert ("is in the past" in notes_text(config)) is past


def test_a_schedule_that_only_stops_is_noted() -> None:
    stops = with_schedule(start_time=None, name="evening")
    told = "its `schedule` has stops only: it stays stopped until someone renews it"
    assert told in notes_text(parse(stops))
    (entry,) = stops["jumpstart_models"]
    entry["schedule"].append(WORKDAYS)
    assert told not in notes_text(parse(stops))


def test_a_type_that_the_publisher_does_not_list_is_noted() -> None:
    config = parse(config_with({**FLAN, "inference_instance_type": "ml.g5.8xlarge"}))
    lock = ModelsLock.read(main.PROJECT / "configs" / "models.lock.json", config.region_name)
    assert "ml.g5.8xlarge is not among" in "\n".join(lock.notes(config))


def test_the_locked_environment_holds_the_values_of_the_instance_type() -> None:
    config = load(DEFAULT)
    lock = ModelsLock.read(main.PROJECT / "configs" / "models.lock.json", config.region_name)
    falcon = lock.resolve(config)["jumpstart_models[0]", "ml.g5.12xlarge"]
    assert falcon.environment["SM_NUM_GPUS"] == "4"
    assert falcon.environment["MAX_BATCH_TOTAL_TOKENS"] == "2048"


def test_the_lock_file_is_sorted() -> None:
    text = (main.PROJECT / "configs" / "models.lock.json").read_text()
    assert text == json.dumps(json.loads(text), indent=2, sort_keys=True) + "\n"


def windows_of(size: int) -> list[dict[str, Any]]:
    """Windows that take exactly `size` bytes when stored."""
    first = date(2027, 1, 1)
    dates = [f"{first + timedelta(days=number):%d/%m/%Y}" for number in range(400)]
    base = {"start_time": "09:00", "stop_time": "17:00", "days": ["mon"], "except_dates": dates}
    windows: list[dict[str, Any]] = [{**base, "name": f"w{number:03}"} for number in range(65)]
    left = size - len(canonical([Schedule.parse(window).document() for window in windows]))
    for window in windows:
        more = min(left, 96)
        window["name"] += "x" * more
        left -= more
    assert left == 0
    return windows


@pytest.mark.parametrize("tags", [{}, {"team": "é" * 256}], ids=["no tags", "tags not in ASCII"])
def test_an_entry_one_byte_too_large_for_a_spec_is_refused(
    tags: Mapping[str, str],
) -> None:
    rest = len(canonical(tags)) + len("{}") + len("[]")  # no update policy, no scaling
    entry = {**FLAN, "tags": tags, "schedule": windows_of(MAX_SPEC_BYTES - rest)}
    fits = parse(config_with(entry))
    assert len(fits.jumpstart_models[0].schedules()) == 65
    with pytest.raises(InvalidConfig) as refused:
        parse(config_with({**entry, "schedule": windows_of(MAX_SPEC_BYTES - rest + 1)}))
    assert (
        "jumpstart_models[0].schedule: 'FlanT5' would be stored in 350,001 bytes, and at most "
        "350,000 fit; give fewer schedules or fewer except_dates"
    ) in str(refused.value)


def test_every_number_of_the_config_has_a_finite_range() -> None:
    assert list(unbounded(json.loads(schema_text()))) == []


def test_number_that_is_infinite_in_python_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    variants = [{"name": "A", "image": IMAGE, "instance_type": "ml.m5.xlarge", "weight": 7.5}]
    entry = {"name": "A", "inference_type": "realtime", "variants": variants}
    path.write_text(json.dumps(config_with(entry)).replace("7.5", "1e999"))
    with pytest.raises(InvalidConfig, match=r"variants\[0\].weight: must be a number that is not"):
        load(path)


@pytest.mark.parametrize("value", ["two\nlines", "a\tb", "a;b", "\u200b", "50%"])
def test_tags_that_sagemaker_refuses_are_refused(value: str) -> None:
    (problem,) = problems(config_with({**FLAN, "tags": {"team": value}}))
    assert problem.startswith("jumpstart_models[0].tags.team: ")
    (problem,) = problems(config_with({**FLAN, "tags": {value: "search"}}))
    assert problem.startswith("jumpstart_models[0].tags: ")


@pytest.mark.parametrize("value", ["", "é 日本", "a\u00a0b", "½", "user@example.org", "+1/2=x_y"])
def test_tags_that_sagemaker_takes_are_taken(value: str) -> None:
    parse(config_with({**FLAN, "tags": {"team": value}}))


def test_key_and_value_of_a_tag_are_reported_together() -> None:
    assert len(problems(config_with({**FLAN, "tags": {"te;am": "a;b"}}))) == 2


def test_a_name_is_checked_beside_a_wrong_prefix() -> None:
    wrong = config_with({**FLAN, "name": "Flan_T5"}, project_prefix="-")
    assert [problem.partition(":")[0] for problem in problems(wrong)] == [
        "jumpstart_models[0].name",
        "project_prefix",
    ]


def with_function(**properties: Any) -> dict[str, Any]:
    properties = {"lambda_src": "functions/flan", "api_resource_name": "flan", **properties}
    integration = {"type": "lambda", "properties": properties}
    return {**FLAN, "integration": integration}


def test_all_variables_of_a_function_count_and_are_reported_with_other_problems() -> None:
    entry = with_function(environment={"AB": "x" * 3_779})
    parse(config_with(entry))
    too_many = with_function(environment={"AB": "é" * 1_990})
    first, second = problems(config_with(too_many, region_name="nowhere"))
    assert first.startswith("jumpstart_models[0].integration.properties.environment: takes 4,")
    assert "and Lambda takes 4,096: " in first
    assert second.startswith("region_name: ")


@pytest.mark.parametrize("service", ["ecr", "ecr-fips"])
@pytest.mark.parametrize(
    ("region", "suffix"),
    [
        ("us-east-1", "amazonaws.com"),
        ("us-gov-west-1", "amazonaws.com"),
        ("cn-north-1", DNS_SUFFIXES["aws-cn"]),
        ("us-iso-east-1", DNS_SUFFIXES["aws-iso"]),
        ("us-isob-east-1", DNS_SUFFIXES["aws-iso-b"]),
        ("eu-isoe-west-1", DNS_SUFFIXES["aws-iso-e"]),
        ("us-isof-south-1", DNS_SUFFIXES["aws-iso-f"]),
        ("eusc-de-east-1", DNS_SUFFIXES["aws-eusc"]),
    ],
)
def test_images_of_every_partition_are_taken(service: str, region: str, suffix: str) -> None:
    image = f"123456789012.dkr.{service}.{region}.{suffix}/ours:1"
    own = {key: value for key, value in FLAN.items() if key != "model_id"}
    parse(config_with({**own, "image": image}, region_name=region))
    integration = {"properties": {"image_uri": image, "api_resource_name": "x"}, "type": "lambda"}
    parse(config_with({**FLAN, "integration": integration}, region_name=region))


def test_digits_of_other_scripts_are_no_account() -> None:
    image = "١٢٣٤٥٦٧٨٩٠١٢.dkr.ecr.us-east-1.amazonaws.com/ours:1"
    own = {key: value for key, value in FLAN.items() if key != "model_id"}
    (problem,) = problems(config_with({**own, "image": image}))
    assert problem.startswith("jumpstart_models[0].image: must be an image in ECR")


@pytest.mark.parametrize("text", ["${TfToken[TOKEN.1]}", "\ud800", "e\u0301"])
def test_text_that_would_not_arrive_is_refused(text: str) -> None:
    window = {**WORKDAYS, "name": text}
    (problem,) = problems(config_with({**FLAN, "schedule": [window]}))
    assert problem.startswith("jumpstart_models[0].schedule[0].name: holds ")


def test_a_lock_that_was_merged_badly_is_named() -> None:
    lock = json.loads((main.PROJECT / "configs" / "models.lock.json").read_text())
    models = lock["regions"]["us-east-1"]
    del models[FLAN["model_id"]]["versions"]["0.0.0"]["instance_types"]["ml.g5.12xlarge"]["image"]
    with pytest.raises(InvalidConfig) as caught:
        ModelsLock.of(lock, "the lock", "us-east-1")
    (problem,) = caught.value.problems
    assert problem.path.endswith(".instance_types.ml.g5.12xlarge")
    assert "neither image nor model_package" in problem.sentence
