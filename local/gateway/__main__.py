"""`python -m local.gateway`: serves one REST API on loopback."""

import argparse

from local.gateway.application import gateway
from local.gateway.upstream import Api
from local.serving.server import listener, server


def main() -> None:
    """Parse the command line and serve until a signal ends the process."""
    parser = argparse.ArgumentParser(prog="python -m local.gateway", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="port on 127.0.0.1")
    parser.add_argument("--emulator-url", required=True, help="such as http://127.0.0.1:4566")
    parser.add_argument("--api-id", required=True, help="the REST API's id")
    parser.add_argument("--stage", default="prod", help="the stage of the API")
    options = parser.parse_args()
    api = Api(options.emulator_url, options.api_id, options.stage)
    server(gateway(api)).run([listener(options.port)])


if __name__ == "__main__":
    main()
