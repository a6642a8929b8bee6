from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from constructs_lib import fast_bindings

PROJECT = Path(__file__).parents[2]
# A synth in this process may have set Node and its options already.
NOT_INHERITED = ("COV_CORE", "JSII_NODE", "NODE_OPTIONS")
PRELOAD = PROJECT / "constructs_lib" / "lazy_provider.js"
BODY = "import fake.heavy\n\n\nclass Rare:\n    pass\n"
KNOWN_INDEX = """\
"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.second = exports.first = void 0;
// generated
exports.first = require("./first");
exports.second = __importStar(require("./second"));
"""


def node() -> str:
    done = python(
        "from constructs_lib import fast_bindings as f; import os, pathlib\n"
        "f._choose_node(); print(os.environ.get('JSII_NODE', 'node'))",
        PROJECT,
    )
    return done.stdout.strip()


def python(code: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(PROJECT), str(folder)])
    plain = {key: value for key, value in os.environ.items() if not key.startswith(NOT_INHERITED)}
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**plain, "PYTHONPATH": path, **environment},
        capture_output=True,
        text=True,
        check=True,
    )


@pytest.fixture
def bindings(tmp_path: Path) -> Path:
    """A package like the bindings: a slow body, `_jsii`, and a submodule."""
    for name, text in (
        ("fake", BODY),
        ("fake/_jsii", ""),
        ("fake/light", "class Thing: ..."),
        ("fake/heavy", "print('heavy')"),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(text)
    return tmp_path


INSTALL = (
    "import pathlib; from constructs_lib import fast_bindings\n"
    "fast_bindings.install(pathlib.Path('{cache}'), 'fake')\n"
)


def run(bindings: Path, code: str, **environment: str) -> str:
    install = INSTALL.format(cache=bindings / "cache")
    return python(install + code, bindings, **environment).stdout


def test_a_submodule_is_imported_without_the_others(bindings: Path) -> None:
    assert run(bindings, "from fake.light import Thing; print(Thing.__module__)") == "fake.light\n"


def test_a_submodule_is_an_attribute_of_its_package(bindings: Path) -> None:
    assert run(bindings, "import fake; print(fake.light.Thing.__name__)") == "Thing\n"


def test_a_name_that_is_no_submodule_runs_the_package_body(bindings: Path) -> None:
    assert run(bindings, "from fake import Rare; print(Rare.__name__)") == "heavy\nRare\n"


def test_an_unknown_name_is_an_attribute_error(bindings: Path) -> None:
    code = "import fake\ntry: fake.nothing\nexcept AttributeError as e: print(e)"
    assert "nothing" in run(bindings, code)


def test_a_package_with_another_layout_is_imported_completely(bindings: Path) -> None:
    (bindings / "fake/_jsii/__init__.py").unlink()
    assert run(bindings, "import fake") == "heavy\n"


def test_the_environment_variable_turns_lazy_imports_off(bindings: Path) -> None:
    code = "import os, fake; print(os.environ.get('NODE_OPTIONS'))"
    assert run(bindings, code, ENDPOINT_METER_EAGER_BINDINGS="1") == "heavy\n--no-deprecation\n"


def test_installing_twice_changes_nothing(bindings: Path) -> None:
    code = "import os; a = os.environ['NODE_OPTIONS']\n"
    again = INSTALL.format(cache=bindings).splitlines()[-1]
    assert run(bindings, code + again + "\nprint(a == os.environ['NODE_OPTIONS'])") == "True\n"


def test_bytecode_is_cached_even_if_the_environment_disables_it(bindings: Path) -> None:
    run(bindings, "import fake.light", PYTHONDONTWRITEBYTECODE="1")
    assert list((bindings / "cache").rglob("*.pyc"))


@pytest.fixture
def provider(tmp_path: Path) -> Path:
    """A Node package like the provider's: each submodule prints its name when it is loaded."""
    library = tmp_path / "node_modules" / "@cdktf" / "provider-aws" / "lib"
    library.mkdir(parents=True)
    manifest = {"name": "@cdktf/provider-aws", "main": "lib/index.js"}
    (library.parent / "package.json").write_text(json.dumps(manifest))
    for name in ("first", "second"):
        (library / f"{name}.js").write_text(f"console.log('{name}'); exports.is = '{name}';")
    (library / "index.js").write_text(KNOWN_INDEX)
    return library


def run_node(provider: Path, code: str) -> str:
    done = subprocess.run(
        [node(), "--require", str(PRELOAD), "-e", code],
        cwd=provider.parents[3],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_node_loads_a_submodule_when_it_is_asked_for(provider: Path) -> None:
    code = "const p = require('@cdktf/provider-aws'); console.log('loaded'); p.first.is; p.first"
    assert run_node(provider, code) == "loaded\nfirst\n"


def test_node_still_sees_every_export(provider: Path) -> None:
    code = "console.log(Object.keys(require('@cdktf/provider-aws')).join())"
    assert run_node(provider, code) == "first,second\n"


def test_an_index_with_an_unknown_line_is_loaded_by_node_as_usual(provider: Path) -> None:
    plain = KNOWN_INDEX.replace('__importStar(require("./second"))', 'require("./second")')
    (provider / "index.js").write_text(plain + "exports.third = exports.first.is + '!';\n")
    code = "const p = require('@cdktf/provider-aws'); console.log(p.third)"
    assert run_node(provider, code) == "first\nsecond\nfirst!\n"


def test_other_packages_are_loaded_by_node_as_usual(provider: Path) -> None:
    manifest = {"name": "@other/provider-aws", "main": "lib/index.js"}
    (provider.parent / "package.json").write_text(json.dumps(manifest))
    (provider / "index.js").write_text(KNOWN_INDEX.replace("__importStar", ""))
    assert run_node(provider, "require('@cdktf/provider-aws')") == "first\nsecond\n"


def test_cdktf_keeps_no_stack_trace_of_a_token(tmp_path: Path) -> None:
    file = tmp_path / "cdktf" / "lib" / "tokens" / "private" / "stack-trace.js"
    file.parent.mkdir(parents=True)
    file.write_text("exports.captureStackTrace = () => ['a frame'];")
    code = f"console.log(require({json.dumps(str(file))}).captureStackTrace().length)"
    assert run_node(tmp_path / "1/2/3/4", code) == "0\n"


def test_a_first_run_waits_for_the_index_of_jsii(tmp_path: Path) -> None:
    package = tmp_path / "@cdktf/provider-aws/21.0.0/hash"
    package.mkdir(parents=True)
    (package / ".jsii-runtime-package-cache").touch()
    assert fast_bindings.wait_for_index(tmp_path, timeout_seconds=0.1)
    (package / ".jsii.runtime-index.v1").touch()
    assert not fast_bindings.wait_for_index(tmp_path)


def test_without_a_cache_there_is_no_wait(tmp_path: Path) -> None:
    assert not fast_bindings.wait_for_index(tmp_path / "nowhere")
