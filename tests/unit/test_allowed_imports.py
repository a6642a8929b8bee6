from __future__ import annotations

import ast
import sys
from pathlib import Path

CORE = Path(__file__).resolve().parents[2] / "lambdas" / "core"


def imported_by(file: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return names


def test_the_core_imports_itself_and_the_standard_library() -> None:
    others = {
        (file.name, name)
        for file in CORE.rglob("*.py")
        for name in imported_by(file)
        if name.partition(".")[0] not in sys.stdlib_module_names
        and not name.startswith("lambdas.core")
    }

    assert others == set()
