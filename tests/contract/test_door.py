"""The embedded AWS takes signed requests to this machine, and unsigned ones only where AWS does."""

import http.client
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from typing import Any

import boto3
import httpx
import pytest
from botocore import UNSIGNED
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from constructs_lib.policy import Statement, policy_document
from local.key import Key
from tests.contract.emulator_process import REGION, Emulator, running_emulator
from tests.roles import SESSION, a_function, session_of

LIST_TABLES = {"X-Amz-Target": "DynamoDB_20120810.ListTables"}
JSON = "application/x-amz-json-1.0"
SERVICES: Any = {
    "dynamodb": lambda client: client.list_tables(),
    "iam": lambda client: client.list_users(),
    "lambda": lambda client: client.list_functions(),
    "s3": lambda client: client.list_buckets(),
    "sqs": lambda client: client.list_queues(),
    "sts": lambda client: client.get_caller_identity(),
}
WHAT_A_FUNCTION_HAS = """
import os

def handler(event, context):
    return dict(os.environ)
"""
PAGE = "https://evil.example"
CALLBACK = "https://ours.example/ui/"


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with running_emulator(tmp_path_factory.mktemp("emulator")) as running:
        yield running


def refused(call: Callable[..., object], *arguments: Any) -> str:
    with pytest.raises(ClientError) as error:
        call(*arguments)
    return str(error.value.response["Error"]["Code"])


def refused_code(service: str, client: Any) -> str:
    return refused(SERVICES[service], client)


def with_key(emulator: Emulator, service: Any, **credentials: str) -> Any:
    return boto3.client(  # type: ignore[call-overload]  # any service at all
        service, endpoint_url=emulator.url, region_name=REGION, **credentials
    )


UNKNOWN = {"UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId"}
MISMATCH = {"SignatureDoesNotMatch", "InvalidSignatureException"}


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("key_id", ["test", "000000000000", "123456789012", "AKIAUNKNOWNUNKNOWN00"])
def test_a_key_that_is_not_of_this_start_is_refused(
    emulator: Emulator, service: str, key_id: str
) -> None:
    key = {"aws_access_key_id": key_id, "aws_secret_access_key": "test"}

    assert refused_code(service, with_key(emulator, service, **key)) in UNKNOWN


@pytest.mark.parametrize("service", SERVICES)
def test_the_right_key_with_a_wrong_secret_is_refused(emulator: Emulator, service: str) -> None:
    wrong = replace(emulator.key, aws_secret_access_key=Key.made().aws_secret_access_key)

    assert refused_code(service, with_key(emulator, service, **asdict(wrong))) in MISMATCH


@pytest.mark.parametrize("service", SERVICES)
def test_the_key_of_this_start_may_do_everything(emulator: Emulator, service: str) -> None:
    SERVICES[service](emulator.client(service))


@pytest.mark.parametrize("service", SERVICES)
def test_a_request_without_a_key_is_refused(emulator: Emulator, service: Any) -> None:
    unsigned = boto3.client(
        service,
        endpoint_url=emulator.url,
        region_name=REGION,
        config=Config(signature_version=UNSIGNED),
    )

    assert refused_code(service, unsigned) in {
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "AccessDenied",
    }


def test_a_signature_does_not_fit_another_body(emulator: Emulator) -> None:
    dynamodb = emulator.client("dynamodb")
    dynamodb.meta.events.register("before-send.dynamodb.ListTables", _with_another_body)

    assert refused(dynamodb.list_tables) == "InvalidSignatureException"


def _with_another_body(request: Any, **_: object) -> None:
    request.body = b'{"Limit": 1}'
    request.headers["Content-Length"] = str(len(request.body))


@pytest.mark.parametrize(
    "path",
    [
        "/_ministack/reset",
        "/_ministack/config",
        "/_ministack/ses/messages",
        "/_localstack/health",
        "/restapis/12345678/prod/_user_request_/",
        "/_aws/execute-api/12345678/prod/",
        "/v2/",
        "/bucket/key",
        "/no-pool/.well-known/jwks.json",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_no_path_of_the_emulator_itself_is_open(emulator: Emulator, method: str, path: str) -> None:
    answer = httpx.request(method, emulator.url + path)

    assert 400 <= answer.status_code < 500
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("host", ["evil.example", "evil.example:4566", "bucket.localhost", ""])
def test_another_host_is_refused_though_the_request_is_signed(
    emulator: Emulator, host: str
) -> None:
    dynamodb = emulator.client("dynamodb")
    dynamodb.meta.events.register(
        "before-sign.dynamodb.ListTables",
        lambda request, **_: request.headers.add_header("Host", host),
    )

    assert refused(dynamodb.list_tables) == "403"


def test_web_sockets_are_refused(emulator: Emulator) -> None:
    headers = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Origin": PAGE,
    }

    answer = httpx.get(f"{emulator.url}/_aws/execute-api/12345678/prod", headers=headers)

    assert answer.status_code == 403


def test_the_host_of_an_api_opens_only_its_stages(emulator: Emulator) -> None:
    apis, queues = emulator.client("apigateway"), emulator.client("sqs")
    api = apis.create_rest_api(name="any")["id"]
    queues.create_queue(QueueName="kept")

    for host in (f"{api}.execute-api.localhost", "12345678.execute-api.localhost"):
        answer = httpx.post(f"{emulator.url}/_ministack/reset", headers={"Host": host})
        assert answer.status_code == 403

    assert "QueueUrls" in queues.list_queues()


@pytest.mark.parametrize(
    "target",
    ["*", "http://evil.example/_ministack/health", "http://localhost/{stage}", "evil/{stage}"],
)
def test_a_target_that_is_no_path_is_refused(emulator: Emulator, target: str) -> None:
    apis, url = emulator.client("apigateway"), httpx.URL(emulator.url)
    api = apis.create_rest_api(name="any")["id"]
    apis.create_deployment(restApiId=api, stageName="prod")

    for host in (f"{api}.execute-api.localhost", "localhost"):
        connection = http.client.HTTPConnection(url.host, url.port)
        connection.request("OPTIONS", target.format(stage="prod"), headers={"Host": host})
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (400, b'{"message":"Ask for a path alone."}')
        connection.close()


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", JSON])
def test_a_page_in_a_browser_achieves_nothing(emulator: Emulator, content_type: str) -> None:
    topics = emulator.client("sns")
    headers = {"Origin": PAGE, "Content-Type": content_type, "Sec-Fetch-Site": "cross-site"}
    form = "Action=CreateTopic&Version=2010-03-31&Name=from-a-page"

    posted = httpx.post(emulator.url, content=form, headers=headers)
    asked = httpx.options(
        emulator.url, headers={**headers, "Access-Control-Request-Method": "POST"}
    )
    with_target = httpx.post(emulator.url, content="{}", headers=headers | LIST_TABLES)

    for answer in (posted, asked, with_target):
        assert 400 <= answer.status_code < 500
        assert not [name for name in answer.headers if name.startswith("access-control-")]
    assert topics.list_topics()["Topics"] == []


def test_answers_of_signed_requests_let_no_page_read_them(emulator: Emulator) -> None:
    answer = emulator.client("dynamodb").list_tables()["ResponseMetadata"]["HTTPHeaders"]

    assert not [name for name in answer if name.startswith("access-control-")]


def test_tokens_are_read_only_by_pages_with_a_registered_callback(emulator: Emulator) -> None:
    cognito = emulator.client("cognito-idp")
    pool = cognito.create_user_pool(PoolName="users")["UserPool"]["Id"]
    cognito.create_user_pool_client(UserPoolId=pool, ClientName="ui", CallbackURLs=[CALLBACK])
    ours = "https://ours.example"

    for path in ("token", "userInfo"):
        url = f"{emulator.url}/oauth2/{path}"
        for method in ("POST", "OPTIONS"):
            allowed = httpx.request(method, url, headers={"Origin": ours}).headers
            assert allowed["access-control-allow-origin"] == ours
            assert allowed["vary"] == "Origin"
            foreign = httpx.request(method, url, headers={"Origin": PAGE})
            assert "access-control-allow-origin" not in foreign.headers
            assert 400 <= foreign.status_code < 500


def test_signing_in_and_public_keys_need_no_key(emulator: Emulator) -> None:
    cognito = emulator.client("cognito-idp")
    pool = cognito.create_user_pool(PoolName="users")["UserPool"]["Id"]
    client = cognito.create_user_pool_client(
        UserPoolId=pool, ClientName="any", ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH"]
    )["UserPoolClient"]["ClientId"]
    unsigned = boto3.client(
        "cognito-idp",
        endpoint_url=emulator.url,
        region_name=REGION,
        config=Config(signature_version=UNSIGNED),
    )

    keys = httpx.get(f"{emulator.url}/{pool}/.well-known/jwks.json")
    signed_in = refused(
        lambda: unsigned.initiate_auth(
            ClientId=client,
            AuthFlow="USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": "nobody", "PASSWORD": "Any-password-1"},
        )
    )

    assert keys.json()["keys"]
    assert signed_in in {"NotAuthorizedException", "UserNotFoundException"}
    assert refused(lambda: unsigned.list_users(UserPoolId=pool)).startswith("MissingAuthentication")


def test_a_role_acts_with_its_session_and_with_nothing_else(emulator: Emulator) -> None:
    role = emulator.role()
    functions = emulator.client("lambda")
    statement = Statement(("dynamodb:ListTables",), ("*",), reason="it lists all")
    may_list = policy_document([statement])
    emulator.client("iam").put_role_policy(
        RoleName=role.rpartition("/")[2], PolicyName="own", PolicyDocument=may_list
    )
    session = session_of(role, functions)
    with_key(emulator, "dynamodb", **session).list_tables()

    wrong = [
        {**session, "aws_secret_access_key": "made-up"},
        {**session, "aws_session_token": "made-up"},
        {name: value for name, value in session.items() if name != "aws_session_token"},
    ]

    for credentials in wrong:
        assert refused_code("dynamodb", with_key(emulator, "dynamodb", **credentials)) in (
            UNKNOWN | MISMATCH
        )


def test_a_function_acts_as_its_new_role_at_once(emulator: Emulator) -> None:
    functions, roles = emulator.client("lambda"), [emulator.role(), emulator.role()]
    name = a_function(functions, roles[0], SESSION)
    callers = []
    for role in roles:
        functions.update_function_configuration(FunctionName=name, Role=role)
        session = json.loads(functions.invoke(FunctionName=name)["Payload"].read())
        callers.append(with_key(emulator, "sts", **session).get_caller_identity()["Arn"])

    assert [arn.split("/")[1] for arn in callers] == [role.split("/")[1] for role in roles]


def test_a_role_may_not_use_the_paths_of_the_emulator_itself(emulator: Emulator) -> None:
    session = session_of(emulator.role(), emulator.client("lambda"))
    url = f"{emulator.url}/_ministack/reset"

    request = AWSRequest("POST", url, data=b"{}")
    SigV4Auth(Credentials(*session.values()), "lambda", REGION).add_auth(request)

    answer = httpx.post(url, content=b"{}", headers=dict(request.headers))

    assert answer.status_code == 403


def test_a_function_does_not_get_the_key_of_the_root_user(emulator: Emulator) -> None:
    functions = emulator.client("lambda")
    name = a_function(functions, emulator.role(), WHAT_A_FUNCTION_HAS)

    environment = json.loads(functions.invoke(FunctionName=name)["Payload"].read())

    assert environment["AWS_ACCESS_KEY_ID"].startswith("ASIA")
    assert emulator.key.aws_secret_access_key not in environment.values()


def test_a_link_to_an_object_works_without_a_key_until_it_is_changed(emulator: Emulator) -> None:
    s3 = emulator.client("s3", Config(signature_version="s3v4"))
    s3.create_bucket(Bucket="links")
    for key in ("one", "another key/é"):
        s3.put_object(Bucket="links", Key=key, Body=key.encode())
    links = [
        s3.generate_presigned_url("get_object", {"Bucket": "links", "Key": key}, ExpiresIn=60)
        for key in ("one", "another key/é")
    ]

    assert [httpx.get(link).text for link in links] == ["one", "another key/é"]
    assert httpx.get(links[0].replace("/one?", "/other?")).status_code == 403
    assert httpx.get(links[0].replace("Expires=60", "Expires=600")).status_code == 403
    assert httpx.put(links[0], content=b"x").status_code == 403


def test_no_secret_is_in_the_text_of_a_key_or_session() -> None:
    key = Key.made()
    session = key.session("arn:aws:sts::000000000000:assumed-role/role/name")

    assert key.aws_secret_access_key not in f"{key} {key!r}"
    assert session.secret_access_key not in f"{session} {session!r}"
