"""What the API promises in /openapi.json, word for word: clients are generated from it.

`.venv/bin/python -m tests.unit.test_published_api` writes the document of the present code. Its
diff shows what changes for clients.
"""

from __future__ import annotations

import json
from pathlib import Path

from lambdas.handlers import api

PUBLISHED = Path(__file__).with_name("openapi.json")


def present() -> str:
    document = json.loads(api._document.__wrapped__("/prod"))
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def test_openapi_document_changes_on_purpose_only() -> None:
    published = PUBLISHED.read_text(encoding="utf-8")

    assert json.loads(present()) == json.loads(published), (
        "if clients may see this change: .venv/bin/python -m tests.unit.test_published_api"
    )


if __name__ == "__main__":
    PUBLISHED.write_text(present(), encoding="utf-8")
