"""`python -m jumpstart lock`: writes the lock of the JumpStart models, or checks it."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from client.account import Account
from client.loopback import reach_directly
from constructs_lib.config.file import load, read_json
from constructs_lib.config.lock_document import FORMAT, check_lock
from constructs_lib.config.problems import InvalidConfig
from constructs_lib.models_lock import ModelsLock, requested_models
from jumpstart.hub import Hub, HubUnreachable, connect
from jumpstart.locking import Wanted, make

PROJECT = Path(__file__).resolve().parent.parent
DESCRIPTION = """\
Looks up each JumpStart model of the config with your AWS credentials and writes what hosts it, for
each instance type, to configs/models.lock.json. It only needs sagemaker:DescribeHubContent; with
the List actions, errors also name alternatives. Synth needs that file and no network. The lock
keeps its content for other configs and regions.
"""
EPILOG = """\
environment: CONFIG is the config file, CONFIG_OVERLAY a file that is merged over it.
exit codes: 0 done, 1 config and lock (or hub) disagree, 2 it could not run.
"""
DISAGREED = 1
NOT_TRIED = 2


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    reach_directly(os.environ)
    try:
        wanted = _wanted(options.config, options.region)
        if options.check:
            return _check(wanted, options.lock)
        return _lock(wanted, options.lock, prune=options.prune)
    except InvalidConfig as error:
        print(error, file=sys.stderr)
    except HubUnreachable as error:
        print(f"JumpStart's hub cannot be read: {error}", file=sys.stderr)
    return NOT_TRIED


def _wanted(configs: Sequence[Path] | None, region: str | None) -> list[Wanted]:
    default = Path(os.environ.get("CONFIG") or PROJECT / "configs" / "configs.json")
    overlay = os.environ.get("CONFIG_OVERLAY")
    wanted = []
    for path in configs or [default]:
        config = load(path, Path(overlay) if overlay else None)
        wanted.append(Wanted(str(path), config, region or config.region_name))
    return wanted


def _check(wanted: Sequence[Wanted], path: Path) -> int:
    good = True
    for each in wanted:
        lock = ModelsLock.read(path, each.region)
        problems = [
            problem for model in requested_models(each.config) for problem in lock.problems(model)
        ]
        if problems:
            good = False
            print(InvalidConfig(each.source, problems), file=sys.stderr)
    if good:
        print(f"{path.name} holds all that is asked for.")
    return 0 if good else DISAGREED


def _lock(wanted: Sequence[Wanted], path: Path, *, prune: bool) -> int:
    before = _before(path)
    # The hub of a region is the same for every account: the first config that needs it says how.
    ways = {one.region: Account.of_config(one.config.account_settings()) for one in wanted[::-1]}
    outcome = make(wanted, lambda region: Hub(connect(region, ways[region])), before, prune=prune)
    for note in dict.fromkeys(outcome.notes):
        print(f"Note: {note}", file=sys.stderr)
    if outcome.problems:
        for source, problems in outcome.problems.items():
            print(InvalidConfig(source, sorted(set(problems))), file=sys.stderr)
        print(f"{path.name} is left as it was.", file=sys.stderr)
        return DISAGREED
    text = json.dumps(outcome.lock, indent=2, sort_keys=True) + "\n"
    changed = not path.exists() or path.read_bytes() != text.encode()
    if changed:
        new = path.with_name(f".{path.name}.new")
        new.write_text(text, encoding="utf-8")
        new.replace(path)
    print(f"{path.name} {'is written' if changed else 'is as it was'}.")
    return 0


def _before(path: Path) -> Mapping[str, Any]:
    """The lock that is there. One of an older format is written anew. Raises InvalidConfig."""
    before = read_json(path) if path.exists() else {}
    if before.get("format") == FORMAT:
        check_lock(before, path.name)
    return before


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m jumpstart")
    lock = parser.add_subparsers(required=True, metavar="lock").add_parser(
        "lock",
        help="write or check configs/models.lock.json",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    lock.add_argument("--check", action="store_true", help="only compare, without network")
    lock.add_argument(
        "--config",
        type=Path,
        action="append",
        metavar="PATH",
        help="may be given several times",
    )
    lock.add_argument("--region", help="default: the config's region_name")
    lock.add_argument(
        "--prune", action="store_true", help="remove everything that these configs do not need"
    )
    lock.add_argument(
        "--lock",
        type=Path,
        default=PROJECT / "configs" / "models.lock.json",
        metavar="PATH",
        help="default: configs/models.lock.json",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
