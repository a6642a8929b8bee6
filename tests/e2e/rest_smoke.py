"""The calls of the README, on the stack that runs in this folder: `python -m tests.e2e.rest_smoke`.

Prints a line for each step; exits with 1 at the first failure.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.e2e.calls import FALCON, get, renew
from tests.e2e.checkout import Checkout, until


def main() -> int:
    """List, renew, add and stop; check that calls without a token are refused."""
    checkout = Checkout(Path.cwd())
    with checkout.api("") as nobody, checkout.api("wrong") as stranger, checkout.api() as api:
        assert nobody.get("/endpoint-expiry").status_code == 401
        assert stranger.get("/endpoint-expiry").status_code == 403
        print("401 without a token, 403 with a wrong one")
        listed = api.get("/endpoint-expiry").raise_for_status().json()
        print(f"list: {', '.join(entry['EndpointName'] for entry in listed)}")
        answer = renew(checkout, FALCON, 10).raise_for_status().json()
        print(f"renew: {answer['EndpointName']} has {answer['TimeLeft']} left")
        until(lambda: get(checkout, FALCON)["Status"] == "InService", 30)
        print("the endpoint is InService")
        config = answer["EndpointConfigName"]
        body = {"EndpointName": "smoke", "EndpointConfigName": config, "minutes": 5}
        assert api.post("/endpoint-expiry", json=body).status_code == 201
        print("add: 201")
        for name, forget in (("smoke", "true"), (FALCON, "false")):
            query = {"EndpointName": name, "forget": forget}
            api.delete("/endpoint-expiry", params=query).raise_for_status()
        until(lambda: checkout.status(FALCON) == checkout.status("smoke") == "Absent", 30)
        print("stop: both are gone")
    return 0


if __name__ == "__main__":
    sys.exit(main())
