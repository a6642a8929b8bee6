"""The documents: their links lead somewhere, their blocks are run or say why not, and what they
list is complete. tests/e2e/test_documents.py runs the blocks."""

from __future__ import annotations

import ast
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from constructs_lib.config.file import parse
from lambdas.core.routes import ROUTES
from lambdas.core.scopes import SCOPES
from tests.markdown import ROOT, Block, Document, broken_links, documents, read, target

DOCUMENTS = documents()
BLOCKS = [block for document in DOCUMENTS for block in document.blocks]
README = read("README.md")
FIRST_READ = ("README.md", "docs/concepts.md", "CONTRIBUTING.md")
CONFIG = json.loads((ROOT / "configs" / "configs.json").read_text())
GLOSSARY = {
    *(
        "meter",
        "lease",
        "renew",
        "schedule",
        "window",
        "hold",
        "wanted",
        "transition",
        "due",
        "hint",
    ),
    *("tick", "sweep", "reconcile", "step", "entry", "spec", "state", "adopt", "drain"),
    *("stack tag", "override", "fallback"),
}
# A sentence that a reader has to take apart does not come back.
HARD_TO_READ = (
    "works that was revoked",
    "Renewals at once",
    "it keeps from others",
    "speak to the topic",
    "those of a crowd",
    "What else it was to change",
    "is no token of this API",
)


def ids(block: Block) -> str:
    return block.where


def tables(document: Document, head: str) -> list[list[str]]:
    """The cells of the rows of each table whose head begins so."""
    found, inside = [], False
    for line in document.text.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if not cells:
            inside = False
        elif line.startswith(head):
            inside = True
        elif inside and not set(line) <= set("|-"):
            found.append(cells)
    return found


def test_the_readme_is_short_and_begins_with_two_commands() -> None:
    lines = README.text.splitlines()
    assert len(lines) <= 200
    assert re.findall(r"^make (\w+)", "\n".join(lines[:20]), re.MULTILINE) == ["up", "test"]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_every_link_leads_to_a_file_or_a_heading(document: Document) -> None:
    assert list(broken_links(document)) == []


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language == "sh"], ids=ids)
def test_every_command_is_run_or_says_why_not(block: Block) -> None:
    assert block.run or block.reason, f"{block.where}: write <!-- run: … --> before it"


def test_blocks_name_a_language_that_a_test_or_a_reader_knows() -> None:
    known = {"sh", "json", "text", "mermaid", "python"}
    assert [b.where for b in BLOCKS if b.language not in known] == []


def test_every_answer_belongs_to_a_command_that_is_run() -> None:
    for document in DOCUMENTS:
        for asked in (asked for script in document.scripts().values() for asked in script):
            calls = len(re.findall(r"^curl ", asked.block.text, re.MULTILINE))
            assert len(asked.answers) in (0, calls), asked.block.where


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language == "json"], ids=ids)
def test_every_json_block_is_json_and_every_config_is_right(block: Block) -> None:
    document = json.loads(block.text)
    kind, _, more = block.mark.partition(": ")
    match kind, more:
        case "config", "whole":
            parse(document)
        case "config", "":
            parse({**CONFIG, **document})
        case "entry", _:
            first, *others = CONFIG["jumpstart_models"]
            count = {"inference_instance_count": int(more.split()[0])} if more else {}
            parse({**CONFIG, "jumpstart_models": [{**first, **count, **document}, *others]})
        case _:
            assert not block.mark, f"{block.where}: what is a block of '{block.mark}'?"


def test_python_blocks_compile() -> None:
    for block in BLOCKS:
        if block.language == "python":
            compile(block.text, block.where, "exec")


def test_every_decision_is_in_the_index_once() -> None:
    index = read("docs/decisions/README.md")
    records = sorted(p.name for p in (ROOT / "docs" / "decisions").glob("[0-9]*.md"))
    assert sorted(link for link in index.links if not link.startswith("..")) == records
    lines = [line for line in index.text.splitlines() if line.startswith("- ")]
    assert all(re.fullmatch(r"- \[\d{4}\]\(\S+\): .+\.\)?", line) for line in lines)


def test_every_make_target_that_is_named_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    shown = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))
    everything = "\n".join(document.text for document in DOCUMENTS)
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", everything, re.MULTILINE))
    assert named <= targets, named - targets
    assert shown - {"help"} <= named, shown - named


@pytest.mark.parametrize(
    ("place", "there"),
    [
        ("lambdas/core/meter.py", "def wanted("),
        ("lambdas/core/decision.py", "def backoff("),
        ("constructs_lib/alarms.py", "ApproximateNumberOfMessagesVisible"),
        ("lambdas/core/rollout.py", '"CanarySize"'),
    ],
)
def test_who_reads_three_documents_finds_the_rule_the_backoff_the_alarm_and_the_canary(
    place: str, there: str
) -> None:
    leads = {leads[0] for name in FIRST_READ for link in read(name).links
             if (leads := target(read(name), link))}  # fmt: skip
    assert ROOT / place in leads
    assert there in (ROOT / place).read_text()


def test_paths_that_contributing_names_exist() -> None:
    """Also those that are no links."""
    prose = read("CONTRIBUTING.md").prose
    paths = re.findall(r"`((?:tests|lambdas|constructs_lib|local|docs)/[\w/.]+)`", prose)
    assert len(paths) > 10
    assert [path for path in paths if not (ROOT / path).exists()] == []


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("by_core", "constructs_lib/config/base.py"),
        ("Spec", "lambdas/core/spec.py"),
        ("ROUTES", "lambdas/core/routes.py"),
        ("Operation", "lambdas/handlers/operations.py"),
        ("UseCases", "lambdas/core/use_cases.py"),
        ("addressed", "constructs_lib/deployment.py"),
        ("named", "lambdas/aws/errors.py"),
        ("Step", "lambdas/core/state.py"),
    ],
)
def test_names_of_code_that_contributing_tells_of_are_there(name: str, place: str) -> None:
    assert re.search(rf"\b{name}\b", read("CONTRIBUTING.md").prose)
    assert re.search(rf"^(def|class) {name}\b|^{name}\b", (ROOT / place).read_text(), re.MULTILINE)


def test_each_variable_of_a_shell_block_is_defined_earlier_in_its_document() -> None:
    for document in DOCUMENTS:
        defined: set[str] = set()
        for block in document.blocks:
            for found in re.finditer(r"\b(\w+)=|\$\{?([A-Za-z_]\w*)", block.text):
                if block.language == "sh" and found[1]:
                    defined.add(found[1])
                elif block.language == "sh":
                    assert found[2] in defined, f"{block.where}: ${found[2]} is defined nowhere"


# Conventions of the operating system and of the programs that are used, and what one of our
# processes tells another.
NOT_OURS = r"(AWS|JSII|LC|NODE|PIP|UV|XDG)_\w+|HOME|LANG|LD_LIBRARY_PATH|PATH|USER|VIRTUAL_ENV"
TOLD_BY_OURSELVES = {"EVENTS_ENDPOINT_URL", "POWERTOOLS_SERVICE_NAME", "WAKE_MINUTES"}
TERRAFORMS = {"TF_CLI_CONFIG_FILE", "TF_PLUGIN_CACHE_DIR"}


def variables_that_are_read(path: Path) -> Iterator[str]:
    """Names that are looked up in the environment, as literals or as constants of the module."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    constants = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=of, attr="get" | "getenv"), args=[key, *_]):
                pass
            case ast.Subscript(value=of, slice=key, ctx=ast.Load()):
                pass
            case ast.comprehension(iter=ast.Name() as key):
                of = ast.Name("environ")
            case _:
                continue
        if not ast.unparse(of).endswith(("environ", "environment", "os")):
            continue
        if isinstance(key, ast.Name):
            key = constants.get(key.id, key)
        for part in ast.walk(key):
            name = str(part.value) if isinstance(part, ast.Constant) else ""
            if re.fullmatch(r"[A-Z][A-Z_]+[A-Z]", name):
                yield name


def test_each_variable_that_the_code_reads_is_in_the_table_of_variables() -> None:
    folders = ("benches", "client", "constructs_lib", "jumpstart", "local", "tools", "lambdas")
    files = [ROOT / "main.py", *(f for name in folders for f in (ROOT / name).rglob("*.py"))]
    read_by_code = {name for path in files for name in variables_that_are_read(path)}
    ours = {name for name in read_by_code if not re.fullmatch(NOT_OURS, name)}
    rows = tables(read("docs/configuration.md"), "| variable | of |")
    told = {name for row in rows for name in re.findall(r"`([A-Z_]+)`", row[0])}
    assert ours - TOLD_BY_OURSELVES - TERRAFORMS <= told
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    of_make = set(re.findall(r"^([A-Z]+) \?=", makefile, re.MULTILINE))
    assert of_make <= told
    assert told - of_make - ours == {"AWS_PROFILE"}, "nothing reads it"
    assert "LOCAL_PORT" in makefile.partition(".PHONY: up")[0], "`make help` names it"


def test_the_product_has_one_name() -> None:
    for document in DOCUMENTS:
        for match in re.finditer(r"(\w+ )?endpoint manager", document.prose, re.IGNORECASE):
            earlier = match[0] == "an endpoint manager"  # the original, which has no name here
            assert earlier or match[0] == "SageMaker Endpoint Manager", (document.name, match[0])


def test_no_sentence_that_was_hard_to_read_is_left() -> None:
    for document in DOCUMENTS:
        one_line = re.sub(r"\s+", " ", document.text)
        assert [told for told in HARD_TO_READ if told in one_line] == [], document.name


def test_documents_name_no_path_of_one_machine() -> None:
    ours = re.escape(f"{ROOT}/")
    for document in DOCUMENTS:
        found = re.search(rf"(/home/|/Users/|/root/|C:\\|{ours})", document.text)
        assert not found, document.name


def test_the_glossary_has_each_word_once() -> None:
    words = [word for word, *_ in tables(read("docs/concepts.md"), "| word | means |")]
    assert len(words) == len(set(words))
    assert set(words) >= GLOSSARY


def test_operations_says_what_to_do_at_each_alarm() -> None:
    source = (ROOT / "constructs_lib" / "alarms.py").read_text()
    named = set(re.findall(r'self\._alarm\(\s*"([a-z-]+)"', source))
    rows = tables(read("docs/operations.md"), "| alarm | goes off when |")
    told = {name for row in rows for name in re.findall(r"`([^`]+)`", row[0])}
    assert told == named | {
        "starts-dead",
        "work-dead",
        "{function}-errors",
        "{function}-throttles",
    }
    assert all(len(row) == 3 and len(row[2]) > 20 for row in rows)


def test_the_rest_api_lists_every_route_with_its_scopes() -> None:
    document = read("docs/rest-api.md")
    told: dict[tuple[str, str], set[str]] = {}
    for call, scope, _ in tables(document, "| call | scope |"):
        found = re.match(r"`(\w+) (/[\w.-]+)", call)
        if found and "{api_resource_name}" not in call:
            told.setdefault((found[1], found[2]), set()).add(scope)
    told["POST", "/endpoint-expiry"].add("manage")  # the row of adopting repeats no path
    assert told == {
        (route.method, route.path): {route.scope or "none", *route.or_scopes} for route in ROUTES
    }
    assert [row[0].strip("`") for row in tables(document, "| scope | allows |")] == list(SCOPES)


def test_every_folder_is_in_the_readme() -> None:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    tracked = {name.split("/")[0] for name in listed.stdout.splitlines() if "/" in name}
    leads = {target(README, link) for link in README.links}
    linked = {found[0].name for found in leads if found}
    assert {name for name in tracked if not name.startswith(".")} <= linked
