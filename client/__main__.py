"""`python -m client token create | list | revoke`: who may use the API.

Exit codes: 0 done, 1 failed, 2 wrong arguments. Data for other programs goes to standard output,
everything else to standard error.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from client import stacks, tokens
from client.account import NotThisAccount
from client.loopback import reach_directly
from lambdas.core.errors import AwsRefused, InvalidField
from lambdas.core.scopes import SCOPES

_SCOPES = f"""\
scopes: {", ".join(SCOPES)}, separated by spaces. Each can be limited to an endpoint:
  --scopes "read renew:demo-FlanT5-Endpoint"
"""
_WHERE = """\
The table: --local uses the stack of `make up`. Otherwise the defaults of --table and --region come
from the last synthesized stack (`make synth`, `make deploy`), and so does `provider` of its config:
profile, role and allowed accounts. Otherwise credentials are found in the same places as by the AWS
command line.
"""
_HOW_TO_GIVE = (
    ": set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; for the stack of `make up` "
    "add --local"
)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    reach_directly(os.environ)
    try:
        where = stacks.of_local() if options.local else stacks.of(options.table, options.region)
        where.reach(os.environ)
        tokens.run(options, where.token_list(), datetime.now(UTC))
    except InvalidField as error:
        print(f"error: --{error}", file=sys.stderr)
        return 2
    except (stacks.NoStack, tokens.NotDone, NotThisAccount) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except AwsRefused as error:
        how = _HOW_TO_GIVE if error.code == "NoCredentialsError" else ""
        print(f"error: AWS did not do it: {error}{how}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m client", description="Manages a stack's API.")
    token = parser.add_subparsers(metavar="token", required=True).add_parser(
        "token", help="create, list and revoke tokens"
    )
    commands = token.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def command(name: str, summary: str, epilog: str = "") -> argparse.ArgumentParser:
        added = commands.add_parser(
            name,
            help=summary,
            description=summary,
            epilog=f"{epilog}{_WHERE}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        added.add_argument("--local", action="store_true", help="the stack of `make up`")
        added.add_argument("--table", help="name of the auth table")
        added.add_argument("--region", help="AWS region of the table")
        return added

    create = command("create", "create a token and show its secret once", _SCOPES)
    create.add_argument("--name", required=True, help="the owner's name; shown in the history")
    create.add_argument("--scopes", required=True, help="what it may do, see below")
    create.add_argument(
        "--days", required=True, type=_days, help="days until it expires, or 'never'"
    )
    command("list", "show all tokens, without their secrets")
    revoke = command("revoke", "revoke a token; it may work for up to a minute longer")
    revoke.add_argument("token", metavar="NAME|ID", help="as shown by `list`")
    return parser


def _days(text: str) -> int | None:
    if text == "never":
        return None
    days = int(text) if text.isdecimal() else 0
    if not 1 <= days <= tokens.MAX_DAYS:
        raise argparse.ArgumentTypeError(f"must be 1 to {tokens.MAX_DAYS}, or 'never'")
    return days


if __name__ == "__main__":
    sys.exit(main())
