"""`python -m local.simulator`: runs the simulator as a server on loopback until a signal."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from client.loopback import reach_directly
from local.key import Key
from local.simulator.account import Account
from local.simulator.authority import Authority
from local.simulator.callers import Anybody, Callers, HoldersOf
from local.simulator.clients import client
from local.simulator.hub import PublicHub
from local.simulator.inferences import AwsPlaces, Inferences
from local.simulator.journal import Journal
from local.simulator.lifecycle import Durations
from local.simulator.server import serving
from local.simulator.service import Simulator, forget, nobody
from local.simulator.state_change_events import EventPublisher
from local.simulator.world import World

DESCRIPTION = """\
A local Amazon SageMaker (models, endpoint configs, endpoints, tags, InvokeEndpoint and
InvokeEndpointAsync as an echo) and Application Auto Scaling (it stores targets and policies but
scales nothing) for boto3 and Terraform. Point AWS_ENDPOINT_URL_SAGEMAKER,
AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME and AWS_ENDPOINT_URL_APPLICATION_AUTO_SCALING at it. The first
line of standard output is the port. Each call is a line on standard error.
"""
EPILOG = """\
environment:
  LOCAL_CREATE_SECONDS  how long Creating lasts (default 3)
  LOCAL_DELETE_SECONDS  how long Deleting lasts (default 1)
  LOCAL_UPDATE_SECONDS  how long Updating lasts, including rollback (default 3)
  LOCAL_HUB_DOCUMENTS   folder of JumpStart's documents, {region}/{model id}/{version}.json, or
                        {version}.{support status}.json such as 1.0.0.deprecated.json (default none)
  EVENTS_ENDPOINT_URL   address of the other AWS APIs: EventBridge for state-change events, S3 and
                        SNS for asynchronous inferences, IAM to check the permissions of callers
                        (default none: no events, inferences never run, everything is allowed, and
                        any key is taken)
  AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY  the key of its root user
  AWS_REGION, AWS_DEFAULT_REGION  the default of --region

paths of its own:
  GET /_health
  GET, POST, DELETE /_faults  {"operation", "endpoint": name or null for any, "failure", "count"}
      failure: Failed, Rollback, Capacity or Stuck (how an accepted change ends), TimeoutAfter
      (the call takes effect but gets no answer), or an error code such as ThrottlingException.
      Each call uses one fault, in the order posted. A refused call uses none, unless the fault is
      an error code. DELETE removes all faults and lets stuck endpoints continue.
  GET, DELETE /_calls         recorded calls: time, operation, endpoint, error
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT. Exit codes: 0 ended, 1 no port, 2 wrong settings."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s"
    )
    try:
        durations = Durations.from_environment(os.environ)
    except ValueError as error:
        print(f"simulator: {error}", file=sys.stderr)
        return 2
    reach_directly(os.environ)
    events_url = os.environ.get("EVENTS_ENDPOINT_URL")
    region = options.region
    publisher = inferences = authority = None
    callers: Callers = Anybody()
    if events_url:
        emulator = (events_url, region, Key.of(os.environ))
        publisher = EventPublisher(client("events", *emulator))
        inferences = Inferences(AwsPlaces(*emulator), region)
        authority = Authority(client("iam", *emulator))
        callers = HoldersOf(Key.of(os.environ))
    account = Account(options.account, options.region)
    documents = os.environ.get("LOCAL_HUB_DOCUMENTS")
    hub = PublicHub.read(account, Path(documents)) if documents else None
    world = World(account, durations, hub)
    on_change = publisher.publish if publisher else nobody
    journal = Journal(options.journal) if options.journal else None
    if journal:
        journal.replay(world)
    simulator = Simulator(
        world,
        on_change,
        inferences=inferences,
        authority=authority,
        keeping=journal.keeping if journal else forget,
    )
    ended = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda _number, _frame: ended.set())
    try:
        with serving(simulator, options.port, callers) as server:
            print(server.port, flush=True)
            ended.wait()
    except OSError as error:
        print(f"simulator: cannot listen on port {options.port}: {error}", file=sys.stderr)
        return 1
    if inferences:
        inferences.close()
    if publisher:
        publisher.close()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m local.simulator",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    parser.add_argument("--port", type=int, default=0, help="0 (the default) takes a free port")
    parser.add_argument("--region", default=region, help="the region in ARNs (default %(default)s)")
    parser.add_argument(
        "--account", default=Account.account_id, help="the account in ARNs (default %(default)s)"
    )
    parser.add_argument(
        "--journal",
        type=Path,
        metavar="FILE",
        help="keep accepted changes in this file, and begin with those that it holds",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
