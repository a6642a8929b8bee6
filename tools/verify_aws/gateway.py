"""Routes of API Gateway straight to SageMaker, with the templates of the stack."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.httpsession import URLLib3Session

from constructs_lib.api.direct_refusals import BINARY_MEDIA_TYPES, REFUSALS, ErrorResponse, template
from constructs_lib.policy import Statement
from tools.verify_aws import kinds
from tools.verify_aws.answers import Answer, compared
from tools.verify_aws.bench import Bench
from tools.verify_aws.model import Echo

_STAGE = "verify"
_JSON = "application/json"
_BYTES = bytes(range(256)) * 16


def refusals(bench: Bench) -> Answer:
    """SageMaker's 400 and 403 for absent endpoints, as the templates turn them."""
    absent, denied = f"{bench.name}-Allowed", f"{bench.name}-Denied"
    route = _deployed(bench, "refusals", {"absent": absent, "denied": denied}, may_call=absent)
    expected = {
        "absent": _expected(REFUSED["400"].unless[0][1], absent),
        "denied": _expected(REFUSED["403|429"].unless[0][1], denied),
    }

    def told() -> Mapping[str, Any]:
        return {path: _told(route.post(path, b"{}", _JSON)) for path in expected}

    return compared(expected, bench.aws.latest(told, lambda seen: seen == expected))


def bytes_unchanged(bench: Bench) -> Answer:
    endpoint = Echo(bench).serving()
    route = _deployed(bench, "bytes", {"echo": endpoint}, may_call=endpoint)
    kind = "application/octet-stream"
    expected = {"status": 200, "type": kind, "unchanged": True}

    def told() -> Mapping[str, Any]:
        answer = route.post("echo", _BYTES, kind)
        return {
            "status": answer.status_code,
            "type": answer.headers.get("Content-Type"),
            "unchanged": answer.content == _BYTES,
            "text": "" if answer.content == _BYTES else answer.content[:200].decode("latin-1"),
        }

    return compared(expected, bench.aws.latest(told, lambda seen: expected.items() <= seen.items()))


REFUSED = {refusal.when or "": refusal for refusal in REFUSALS}


def _expected(response: ErrorResponse, endpoint: str) -> Mapping[str, Any]:
    return {
        "status": response.status,
        "wait": str(response.retry_seconds),
        "type": _JSON,
        "code": response.code,
        "error": response.sentence.replace("{name}", endpoint),
        "fields": ["code", "error", "requestId"],
    }


def _told(answer: AWSResponse) -> Mapping[str, Any]:
    try:
        body = json.loads(answer.text)
    except ValueError:
        body = {"text": answer.text}
    return {
        "status": answer.status_code,
        "wait": answer.headers.get("Retry-After"),
        "type": answer.headers.get("Content-Type"),
        "code": body.get("code"),
        "error": body.get("error"),
        "fields": sorted(body),
    }


@dataclass(frozen=True)
class _Route:
    """A deployed route that only this account may call."""

    bench: Bench
    api: str

    def post(self, path: str, body: bytes, content_type: str) -> AWSResponse:
        aws = self.bench.aws
        at = aws.client("apigateway").meta.endpoint_url
        if aws.embedded:
            url, host = f"{at}/{_STAGE}/{path}", {"Host": f"{self.api}.execute-api.localhost"}
        else:
            url = f"{at.replace('apigateway', f'{self.api}.execute-api')}/{_STAGE}/{path}"
            host = {}
        request = AWSRequest("POST", url, {"Content-Type": content_type, **host}, body)
        keys = aws.session.get_credentials()
        assert keys is not None, "the account was asked with them"
        SigV4Auth(keys.get_frozen_credentials(), "execute-api", aws.region).add_auth(request)
        return URLLib3Session(timeout=60).send(request.prepare())


def _deployed(bench: Bench, what: str, endpoints: Mapping[str, str], *, may_call: str) -> _Route:
    """A path for each endpoint, integrated as the stack does it. Its role may call one of them."""
    aws, apis = bench.aws, bench.aws.client("apigateway")
    arns = tuple(aws.arn("sagemaker", f"endpoint/{name}") for name in (may_call, may_call.lower()))
    allowed = Statement(("sagemaker:InvokeEndpoint",), arns)
    role = bench.role(what, "apigateway.amazonaws.com", [allowed])

    def create(name: str) -> str:
        api: str = apis.create_rest_api(
            name=name,
            binaryMediaTypes=BINARY_MEDIA_TYPES,
            endpointConfiguration={"types": ["REGIONAL"]},
        )["id"]
        root = apis.get_resources(restApiId=api)["items"][0]["id"]
        for path, endpoint in endpoints.items():
            resource = apis.create_resource(restApiId=api, parentId=root, pathPart=path)["id"]
            method = {"restApiId": api, "resourceId": resource, "httpMethod": "POST"}
            _integrate(apis, method, aws.partition, aws.region, endpoint, role)
        apis.create_deployment(restApiId=api, stageName=_STAGE)
        return api

    return _Route(bench, bench.make(kinds.API, what, create))


def _integrate(
    apis: Any, method: Mapping[str, str], partition: str, region: str, endpoint: str, role: str
) -> None:
    service = f"arn:{partition}:apigateway:{region}:runtime.sagemaker:path"
    header = "method.request.header.Content-Type"
    apis.put_method(**method, authorizationType="AWS_IAM", requestParameters={header: False})
    apis.put_integration(
        **method,
        type="AWS",
        integrationHttpMethod="POST",
        uri=f"{service}/endpoints/{endpoint}/invocations",
        credentials=role,
        requestParameters={"integration.request.header.Content-Type": header},
        passthroughBehavior="WHEN_NO_TEMPLATES",
    )
    answered = "method.response.header.Content-Type"
    kept = {"responseParameters": {answered: "integration.response.header.Content-Type"}}
    declared = {"responseParameters": {answered: False}}
    apis.put_method_response(**method, statusCode="200", **declared)
    apis.put_integration_response(**method, statusCode="200", selectionPattern=r"2\d{2}", **kept)
    for refusal in REFUSALS:
        status = {"statusCode": str(refusal.status)}
        apis.put_method_response(**method, **status, **declared)
        apis.put_integration_response(
            **method,
            **status,
            **({"selectionPattern": refusal.when} if refusal.when else {}),
            responseParameters={answered: f"'{_JSON}'"},
            responseTemplates={_JSON: template(refusal, endpoint)},
            contentHandling="CONVERT_TO_TEXT",
        )
