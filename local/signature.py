"""The signature of an AWS request (Signature Version 4), in its headers or in its query.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl

from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

ALGORITHM = "AWS4-HMAC-SHA256"
MOST_SKEW = timedelta(minutes=15)
LONGEST_LINK = timedelta(days=7)
_BODY_HASH = re.compile(r"[0-9a-f]{64}")
_INSTANT = "%Y%m%dT%H%M%SZ"


class SignatureError(Exception):
    """A request is not signed as it must be: AWS's code for it, and a sentence."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


@dataclass(frozen=True)
class Head:
    """A request without its body. Path and query are as they came, so still percent-encoded. Header
    names are in lower case; several values of one name are joined by a comma."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Signature:
    """What a request says about its signature. `valid_for` is None in headers: then the instant
    must be near the current time."""

    access_key_id: str
    region: str
    service: str
    signed_headers: tuple[str, ...]
    value: str
    at: datetime
    valid_for: timedelta | None
    token: str

    @classmethod
    def of(cls, head: Head) -> "Signature":
        """Read it. Raises SignatureError if there is none, or a part is missing."""
        authorization = head.headers.get("authorization", "")
        query = dict(parse_qsl(head.query, keep_blank_values=True))
        if authorization.startswith(f"{ALGORITHM} "):
            parts = authorization.removeprefix(ALGORITHM).split(",")
            fields = dict(part.strip().partition("=")[::2] for part in parts)
            date, token, seconds = (head.headers.get(n, "") for n in _IN_HEADERS)
        elif query.get("X-Amz-Algorithm") == ALGORITHM:
            fields = {name: query.get(f"X-Amz-{name}", "") for name in _FIELDS}
            date, token, seconds = (query.get(n, "") for n in _IN_QUERY)
        else:
            sentence = "Request is missing Authentication Token"
            raise SignatureError("MissingAuthenticationToken", sentence)
        scope = fields.get("Credential", "").split("/")
        names = tuple(fields.get("SignedHeaders", "").split(";"))
        value = fields.get("Signature", "")
        try:
            access_key_id, day, region, service, _ = scope
            at = datetime.strptime(date, _INSTANT).replace(tzinfo=UTC)
            valid_for = timedelta(seconds=int(seconds)) if seconds else None
        except (ValueError, OverflowError):
            raise _incomplete() from None
        in_query = not authorization
        if not value or "host" not in names or day != date[:8] or in_query != bool(valid_for):
            raise _incomplete()
        return cls(access_key_id, region, service, names, value, at, valid_for, token)

    def check(self, head: Head, body: bytes, secret: str, now: datetime) -> None:
        """Raises SignatureError unless the owner of `secret` has signed this request, recently."""
        until = self.at + (self.valid_for or MOST_SKEW)
        if not self.at - MOST_SKEW <= now <= until or (self.valid_for or MOST_SKEW) > LONGEST_LINK:
            raise SignatureError("RequestExpired", f"Signature expired: {self.at:{_INSTANT}}")
        sent_hash = head.headers.get("x-amz-content-sha256", "")
        if _BODY_HASH.fullmatch(sent_hash) and hashlib.sha256(body).hexdigest() != sent_hash:
            raise _mismatch()
        expected = self._expected(head, body, secret)
        if not hmac.compare_digest(expected.encode(), self.value.encode()):
            raise _mismatch()

    def _expected(self, head: Head, body: bytes, secret: str) -> str:
        kind: type[SigV4Auth] = SigV4Auth
        if self.service == "s3":
            kind = S3SigV4QueryAuth if self.valid_for else S3SigV4Auth
        pairs = head.query.split("&") if head.query else []
        query = "&".join(pair for pair in pairs if not pair.startswith("X-Amz-Signature="))
        headers = {name: head.headers.get(name, "") for name in self.signed_headers}
        request = AWSRequest(head.method, f"http://host{head.path}?{query}", headers, body)
        request.context["timestamp"] = self.at.strftime(_INSTANT)
        signer = kind(Credentials(self.access_key_id, secret), self.service, self.region)
        text = signer.string_to_sign(request, signer.canonical_request(request))
        expected: str = signer.signature(text, request)
        return expected


_FIELDS = ("Credential", "SignedHeaders", "Signature")
_IN_HEADERS = ("x-amz-date", "x-amz-security-token", "")
_IN_QUERY = ("X-Amz-Date", "X-Amz-Security-Token", "X-Amz-Expires")


def _incomplete() -> SignatureError:
    sentence = "The signature has no valid Credential, SignedHeaders, Signature or date."
    return SignatureError("IncompleteSignature", sentence)


def _mismatch() -> SignatureError:
    sentence = (
        "The request signature we calculated does not match the signature you provided. Check your"
        " AWS Secret Access Key and signing method."
    )
    return SignatureError("SignatureDoesNotMatch", sentence)
