"""Which hosts are not asked for through a proxy."""

from __future__ import annotations

import pytest

from client.loopback import reach_directly


@pytest.mark.parametrize(
    ("given", "direct"),
    [
        ({}, "127.0.0.1,localhost"),
        ({"no_proxy": ""}, "127.0.0.1,localhost"),
        ({"NO_PROXY": " .corp, localhost,"}, ".corp,localhost,127.0.0.1"),
        ({"NO_PROXY": "upper", "no_proxy": "lower"}, "upper,lower,127.0.0.1,localhost"),
        ({"NO_PROXY": "a,b", "no_proxy": "c,a"}, "a,b,c,127.0.0.1,localhost"),
        ({"NO_PROXY": "", "no_proxy": "lower"}, "lower,127.0.0.1,localhost"),
        ({"no_proxy": "*"}, "*"),
    ],
)
def test_this_machine_is_added_to_what_is_reached_without_a_proxy(
    given: dict[str, str], direct: str
) -> None:
    environment = {"HTTP_PROXY": "http://proxy", **given}

    reach_directly(environment)
    reach_directly(environment)

    assert environment == {"HTTP_PROXY": "http://proxy", "NO_PROXY": direct, "no_proxy": direct}
