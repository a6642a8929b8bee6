"""The plan that the CLI has just made, read by Terraform."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping

from tools import terraform_cli
from tools.bootstrap import ROOT
from tools.plan_summary import summary
from tools.plan_text import Summary

STACK = ROOT / "cdktf.out" / "stacks" / "endpoint-manager"
PLAN = STACK / "plan"
"""Where the CLI lets Terraform write its plan."""


class NoSummary(Exception):
    """Terraform cannot show the plan. The message says why."""


def forget() -> None:
    """Remove the plan of an earlier run."""
    PLAN.unlink(missing_ok=True)


def summary_of_the_plan(environment: Mapping[str, str]) -> Summary | None:
    """None if there is no plan, because something before it failed. Raises NoSummary."""
    if not PLAN.exists():
        return None
    done = subprocess.run(
        [terraform_cli.require(environment), f"-chdir={STACK}", "show", "-json", PLAN.name],
        env=dict(environment),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise NoSummary(f"there is no summary: `terraform show` failed: {done.stderr.strip()}")
    return summary(json.loads(done.stdout))
