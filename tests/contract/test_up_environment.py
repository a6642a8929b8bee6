"""Which variables of the user's environment `make up` passes on, and what it prints."""

import io

import pytest

from local.environment import NotLoopbackError, embedded_aws, for_daemons, without_aws
from local.key import Key
from local.steps import Steps
from local.terraform_output import Apply


def test_aws_and_terraform_settings_of_the_user_are_removed() -> None:
    users = {"AWS_PROFILE": "production", "AWS_CONFIG_FILE": "x", "TF_VAR_a": "1", "HOME": "/me"}

    assert without_aws(users) == {"HOME": "/me"}


def test_daemons_get_only_what_a_process_needs() -> None:
    users = {"PATH": "/bin", "PYTHONPATH": "/mine", "HTTPS_PROXY": "x", "AWS_PROFILE": "y"}

    assert for_daemons(users) == {"PATH": "/bin", "TZ": "UTC", "PYTHONUNBUFFERED": "1"}


@pytest.mark.parametrize("url", ["https://sqs.us-east-1.amazonaws.com", "http://10.0.0.1:80", ""])
def test_an_address_beyond_this_machine_is_refused(url: str) -> None:
    with pytest.raises(NotLoopbackError, match="refused"):
        embedded_aws("http://127.0.0.1:1", url, "us-east-1", Key.made())


def test_a_step_prints_its_duration_and_outcome() -> None:
    out = io.StringIO()

    with Steps(2, out).step("terraform apply") as step:
        step.outcome = "done"

    assert out.getvalue().splitlines()[0] == "[1/2] terraform apply …"
    assert out.getvalue().splitlines()[1].endswith(" s  done")


def test_an_apply_is_counted_against_its_plan() -> None:
    shown: list[str] = []
    apply = Apply(shown.append)

    apply.hear(
        '{"type":"change_summary","changes":{"operation":"plan","add":2,"change":1,"remove":0}}'
    )
    apply.hear('{"type":"apply_complete","hook":{"action":"create"}}')
    apply.hear('{"type":"apply_complete","hook":{"action":"read"}}')

    assert shown == ["0/3 resources", "1/3 resources"]


def test_an_apply_says_that_it_waits_for_endpoints() -> None:
    shown: list[str] = []
    apply = Apply(shown.append)

    for name in ("wait_2", "waiting_room"):
        apply.hear(
            f'{{"type":"apply_progress","hook":{{"resource":{{"resource_name":"{name}"}}}}}}'
        )

    assert shown == ["0/0 resources; waiting for endpoints", "0/0 resources"]


def test_output_that_is_no_terraform_message_counts_as_an_error() -> None:
    apply = Apply(lambda _: None)

    apply.hear("panic: out of memory\n")
    apply.hear("\n")

    assert apply.errors == ["panic: out of memory"]
