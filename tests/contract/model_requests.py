"""Requests to models, as people make them: for both integrations."""

from __future__ import annotations

from lambdas.core.invocation import REQUEST_HEADERS

FORM_TYPE = "multipart/form-data; boundary=------------------------d74496d66958873e"
FORM = (
    b"--------------------------d74496d66958873e\r\n"
    b'Content-Disposition: form-data; name="image"; filename="cat.png"\r\n'
    b"Content-Type: image/png\r\n\r\n\x89PNG\r\n\x1a\n\x00\xff\r\n"
    b"--------------------------d74496d66958873e--\r\n"
)
"""What `curl -F image=@cat.png` sends."""
WRONG_VALUES = {
    header: "no" + "\tvalue" * 12
    for field, header in REQUEST_HEADERS.items()
    if field not in ("content_type", "accept", "custom_attributes")
}
"""Headers with values that SageMaker refuses, by which it is seen that it gets them."""
