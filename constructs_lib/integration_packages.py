"""Makes the zip of each integration's function: its folder, the packages of its requirements.txt,
and the package `lambdas`, from which its handler may import."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from constructs_lib.bundle import (
    Archive,
    BundleFailed,
    Entries,
    Platform,
    archive_entries,
    bundle_entries,
    bundle_requirements,
    files_below,
    shared_code,
    tree_entries,
)
from constructs_lib.config.document import DeployConfig
from constructs_lib.config.integration import IntegrationProperties
from constructs_lib.config.problems import InvalidConfig, Problem
from constructs_lib.text_file import NotText, unicode

REQUIREMENTS = "requirements.txt"
MAX_UNZIPPED_BYTES = 262_144_000
"""https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html. Layers count too."""
_ELSEWHERE = re.compile(
    r"\s*(-r|-c|-e|--requirement|--constraint|--editable|\.|/|file:)", re.IGNORECASE
)


class _InvalidPackage(Exception):
    """A package cannot be made. It says which field to fix, and how."""

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(sentence)
        self.field = field


def integration_packages(
    config: DeployConfig, project: Path, cache: Path, source: str = "The config"
) -> Mapping[str, Archive]:
    """The zip of each entry that has a `lambda_src`, by the entry's name.

    Raises InvalidConfig with all problems of all packages.
    """
    platform = Platform(config.lambda_.architecture, config.lambda_.layer_platform == "host")
    made: dict[str, Archive] = {}
    problems = []
    for index, entry in enumerate(config.jumpstart_models):
        properties = entry.integration.properties if entry.integration else None
        if properties is None or properties.lambda_src is None:
            continue
        try:
            entries = _entries(properties, project, cache, platform)
            made[entry.name] = bundle_entries("integration", entries, cache)
        except _InvalidPackage as problem:
            path = f"jumpstart_models[{index}].integration.properties.{problem.field}"
            problems.append(Problem(path, str(problem)))
    if problems:
        raise InvalidConfig(source, problems)
    return made


def notes_on_requirements(config: DeployConfig, project: Path) -> Iterator[str]:
    """Notes about requirements without hashes: other versions may be installed elsewhere. The
    packages have been made, so the files can be read."""
    for index, entry in enumerate(config.jumpstart_models):
        properties = entry.integration.properties if entry.integration else None
        if properties and properties.lambda_src:
            text = _requirements(project / properties.lambda_src, properties.lambda_src)
            if text and "--hash" not in text:
                yield (
                    f"jumpstart_models[{index}] ({entry.name}): {properties.lambda_src}/"
                    f"{REQUIREMENTS} has no hashes: other packages may come elsewhere or later. "
                    "`uv pip compile --generate-hashes` writes them."
                )


def _entries(
    properties: IntegrationProperties, project: Path, cache: Path, platform: Platform
) -> Entries:
    assert properties.lambda_src is not None
    folder = project / properties.lambda_src
    if not folder.is_dir():
        raise _InvalidPackage(
            "lambda_src", f"there is no folder '{properties.lambda_src}' in the project"
        )
    _require_handler(folder, properties)
    if (folder / "lambdas").exists() or (folder / "lambdas.py").exists():
        raise _InvalidPackage(
            "lambda_src", "holds a `lambdas` of its own, where that of the project goes; rename it"
        )
    installed = _installed(folder, properties.lambda_src, cache, platform)
    own = tree_entries(folder, files_below(folder))
    entries = {**installed, **shared_code(project), **own}
    size = sum(map(_size, entries, entries.values()))
    if size > MAX_UNZIPPED_BYTES:
        raise _InvalidPackage(
            "lambda_src",
            f"comes to {size:,} bytes with its requirements, and Lambda takes "
            f"{MAX_UNZIPPED_BYTES:,}: leave something out, or give an `image_uri`",
        )
    return entries


def _size(name: str, read: Callable[[], bytes]) -> int:
    """Raises _InvalidPackage if the file cannot be put into a zip."""
    try:
        name.encode()
        return len(read())
    except (OSError, UnicodeEncodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "its name is not UTF-8"
        sentence = f"holds the file {name!r}, which cannot be packed: {why}"
        raise _InvalidPackage("lambda_src", sentence) from error


def _require_handler(folder: Path, properties: IntegrationProperties) -> None:
    module, _, name = properties.handler.rpartition(".")
    below = module.replace(".", "/")
    found = [path for path in (folder / f"{below}.py", folder / below / "__init__.py")
             if path.is_file()]  # fmt: skip
    if not found:
        raise _InvalidPackage(
            "handler",
            f"'{properties.handler}' is to be `{name}` in {properties.lambda_src}/{below}.py, and "
            "there is no such file",
        )
    shown = f"{properties.lambda_src}/{found[0].relative_to(folder).as_posix()}"
    try:
        defined = _defined(ast.parse(found[0].read_bytes()))
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise _InvalidPackage("handler", f"{shown} is no Python: {error}") from error
    if name not in defined and "*" not in defined:
        raise _InvalidPackage("handler", f"{shown} defines no `{name}`")


def _defined(module: ast.Module) -> set[str]:
    """The names that the statements of a module bind, at any depth."""
    names: set[str] = set()
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.alias):
            names.add(node.asname or node.name)
    return names


def _installed(folder: Path, source: str, cache: Path, platform: Platform) -> Entries:
    text = _requirements(folder, source)
    if not text:
        return {}
    for number, line in enumerate(text.splitlines(), 1):
        if _ELSEWHERE.match(line):
            raise _InvalidPackage(
                "lambda_src",
                f"{source}/{REQUIREMENTS}, line {number}: what other files name is not bundled; "
                "name the packages here",
            )
    try:
        return archive_entries(bundle_requirements("requirements", text, cache, platform))
    except BundleFailed as error:
        raise _InvalidPackage(
            "lambda_src", f"{source}/{REQUIREMENTS} cannot be installed for {platform}:\n{error}"
        ) from error


def _requirements(folder: Path, source: str) -> str:
    """The text of a requirements file, in the encodings that pip reads; empty if it names no
    package."""
    path = folder / REQUIREMENTS
    try:
        text = unicode(path.read_bytes()) if path.is_file() else ""
    except (NotText, OSError) as error:
        sentence = f"{source}/{REQUIREMENTS} cannot be read: {error}"
        raise _InvalidPackage("lambda_src", sentence) from error
    lines = (line.strip() for line in text.splitlines())
    return text if any(line and not line.startswith("#") for line in lines) else ""
