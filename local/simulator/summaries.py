"""How endpoints look in the answers of DescribeEndpoint and in state-change events."""

from __future__ import annotations

from typing import Any

from local.simulator.call import epoch
from local.simulator.lifecycle import Deployment, Endpoint, Json, Pending, Status, Variant


def described(endpoint: Endpoint, arn: str) -> Json:
    """The body of DescribeEndpoint: variants after it has served, and the pending deployment during
    an update."""
    body: Json = {
        "EndpointName": endpoint.name,
        "EndpointArn": arn,
        "EndpointConfigName": endpoint.config_name,
        "EndpointStatus": endpoint.status.value,
        "CreationTime": epoch(endpoint.created_at),
        "LastModifiedTime": epoch(endpoint.modified_at),
    }
    if endpoint.failure_reason:
        body["FailureReason"] = endpoint.failure_reason
    if endpoint.serving is not None:
        body |= _serving(endpoint.serving, endpoint.pending)
    if endpoint.pending is not None and endpoint.status is Status.UPDATING:
        body["PendingDeploymentSummary"] = _pending(endpoint.pending)
    return body


def _serving(serving: Deployment, pending: Pending | None) -> Json:
    target = pending.target if pending else None
    wanted = {v.name: v for v in target.variants} if target else {}
    body: Json = {
        "ProductionVariants": [_summary(v, wanted.get(v.name, v)) for v in serving.variants]
    }
    if serving.shadows:
        body["ShadowProductionVariants"] = [_summary(v, v) for v in serving.shadows]
    for key, value in serving.settings.items():
        body[key] = _capture(value) if key == "DataCaptureConfig" else value
    if serving.policy is not None:
        body["LastDeploymentConfig"] = serving.policy
    return body


def _pending(pending: Pending) -> Json:
    target = pending.target
    if target is None:
        return {}
    summary: Json = {
        "EndpointConfigName": target.config_name,
        "StartTime": epoch(pending.started_at),
        "ProductionVariants": [_planned(v) for v in target.variants],
    }
    if target.shadows:
        summary["ShadowProductionVariants"] = [_planned(v) for v in target.shadows]
    return summary


def _planned(variant: Variant) -> Json:
    """A variant that does not exist yet: its instance type, and the desired values."""
    summary = _summary(variant, variant)
    if variant.instance_type is not None:
        summary["InstanceType"] = variant.instance_type
    return summary


def _summary(current: Variant, desired: Variant) -> Json:
    summary: Json = {
        "VariantName": current.name,
        "CurrentWeight": current.weight,
        "DesiredWeight": desired.weight,
        **current.extra,
    }
    if current.image is not None:
        summary["DeployedImages"] = [
            {"SpecifiedImage": current.image, "ResolvedImage": current.image}
        ]
    optional: dict[str, Any] = {
        "CurrentInstanceCount": current.instance_count,
        "DesiredInstanceCount": desired.instance_count,
        "CurrentServerlessConfig": current.serverless,
        "DesiredServerlessConfig": desired.serverless,
    }
    return summary | {key: value for key, value in optional.items() if value is not None}


def _capture(config: Json) -> Json:
    enabled = bool(config.get("EnableCapture"))
    summary: Json = {
        "EnableCapture": enabled,
        "CaptureStatus": "Started" if enabled else "Stopped",
        "CurrentSamplingPercentage": config["InitialSamplingPercentage"],
        "DestinationS3Uri": config["DestinationS3Uri"],
        "KmsKeyId": config.get("KmsKeyId", ""),
    }
    return summary


def event_detail(endpoint: Endpoint, arn: str, tags: dict[str, str]) -> Json:
    """The `detail` of a SageMaker Endpoint State Change event. Times are epoch milliseconds."""
    shown = endpoint.serving or (endpoint.pending.target if endpoint.pending else None)
    return {
        "EndpointName": endpoint.name,
        "EndpointArn": arn,
        "EndpointConfigName": endpoint.config_name,
        "ProductionVariants": [
            {"DesiredWeight": v.weight, "DesiredInstanceCount": float(v.instance_count or 0)}
            for v in (shown.variants if shown else ())
        ],
        "EndpointStatus": endpoint.status.name,
        "CreationTime": epoch(endpoint.created_at) * 1000,
        "LastModifiedTime": epoch(endpoint.modified_at) * 1000,
        "Tags": tags,
    }
