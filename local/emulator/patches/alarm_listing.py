"""DescribeAlarms returns all properties of an alarm in XML too.

MiniStack's XML leaves out the statistic, period, dimensions, actions and the treatment of missing
data (its JSON has them). Without this patch every Terraform plan would change every alarm.
"""

import json
from datetime import UTC, datetime
from importlib import import_module
from typing import Any
from xml.sax.saxutils import escape

MOST_NAMES = 100  # of AlarmNames in one call, on AWS

cloudwatch: Any = import_module("ministack.services.cloudwatch")


def apply() -> None:
    """Build the XML from the JSON answer, which is complete."""
    describe = cloudwatch._describe_alarms

    def describe_in_full(
        params: dict[str, Any], body: dict[str, Any], is_cbor: bool, is_json: bool = False
    ) -> Any:
        if is_cbor or is_json:
            return describe(params, body, is_cbor, is_json)
        status, _, answer = describe({}, _as_json_request(params), False, True)
        if status != 200:
            return describe(params, body, is_cbor, is_json)
        inner = f"<DescribeAlarmsResult>{_xml(json.loads(answer))}</DescribeAlarmsResult>"
        return cloudwatch._xml(200, "DescribeAlarmsResponse", inner)

    cloudwatch._describe_alarms = describe_in_full


def _as_json_request(params: dict[str, Any]) -> dict[str, Any]:
    request: dict[str, Any] = {
        name: cloudwatch._p(params, name)
        for name in ("AlarmNamePrefix", "StateValue", "MaxRecords", "NextToken")
    }
    for name in ("AlarmNames", "AlarmTypes"):
        members = (cloudwatch._p(params, f"{name}.member.{i + 1}") for i in range(MOST_NAMES))
        request[name] = [member for member in members if member]
    return {name: value for name, value in request.items() if value}


def _xml(value: Any, name: str = "") -> str:
    """Render a JSON value for the Query protocol. `name` is the field that holds it."""
    if isinstance(value, dict):
        fields = ((k, v) for k, v in value.items() if v is not None and not k.startswith("_"))
        return "".join(f"<{k}>{_xml(v, k)}</{k}>" for k, v in fields)
    if isinstance(value, list):
        return "".join(f"<member>{_xml(v)}</member>" for v in value)
    if isinstance(value, bool):
        return str(value).lower()
    if name.endswith("Timestamp") and isinstance(value, int | float):
        return datetime.fromtimestamp(value, UTC).isoformat()
    return escape(str(value))
