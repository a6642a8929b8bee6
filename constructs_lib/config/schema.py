"""The JSON Schema of the config, with which editors complete and check it.

`python -m constructs_lib.config.schema` writes `configs/schema.json`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from constructs_lib.config.document import DeployConfig

SCHEMA_FILE = Path(__file__).parents[2] / "configs" / "schema.json"


def schema_text() -> str:
    schema: dict[str, Any] = DeployConfig.model_json_schema()
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
    return json.dumps(schema, indent=2) + "\n"


if __name__ == "__main__":
    SCHEMA_FILE.write_text(schema_text(), encoding="utf-8")
