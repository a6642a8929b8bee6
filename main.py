"""Synthesizes the stack: reads the config, writes `cdktf.out`.

    python -O main.py [--help]

-O makes it faster: the bindings then leave the check of each argument's type to mypy and to Node.

Environment: CONFIG is the config file (default configs/configs.json), CONFIG_OVERLAY a file that is
merged over it, CDKTF_OUTDIR the output folder (default cdktf.out beside this file).
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from constructs_lib import fast_bindings

PROJECT = Path(__file__).resolve().parent
CACHE = PROJECT / ".cache"
if __name__ == "__main__":
    fast_bindings.keep_bytecode(CACHE)  # of the imports that follow, too

from constructs_lib import literal_text, provider_lock
from constructs_lib.bundle import BundleFailed, bundle_code, bundle_layer
from constructs_lib.config.file import load, notes
from constructs_lib.config.problems import InvalidConfig
from constructs_lib.hosting import hostings
from constructs_lib.integration_packages import integration_packages, notes_on_requirements
from constructs_lib.models_lock import ModelsLock
from constructs_lib.quotas import problems

if TYPE_CHECKING:
    from cdktf import App

PROVIDER_LOCK = PROJECT / "configs" / "provider.lock.hcl"
USAGE_ERROR = 2


def build(environment: Mapping[str, str], outdir: Path) -> App:
    """The app with the stack of the config that `environment` names. The output depends neither on
    the clock nor on this folder's path. Raises InvalidConfig and BundleFailed."""
    chosen = _path(environment.get("CONFIG")) or PROJECT / "configs" / "configs.json"
    config = load(chosen, _path(environment.get("CONFIG_OVERLAY")))
    lock = ModelsLock.read(PROJECT / "configs" / "models.lock.json", config.region_name)
    models = hostings(config, lock.resolve(config))
    packages = integration_packages(config, PROJECT, CACHE)
    installed = notes_on_requirements(config, PROJECT)
    for note in (*notes(config, datetime.now(UTC)), *lock.notes(config), *installed):
        print(f"Note: {note}", file=sys.stderr)
    code = bundle_code(PROJECT, CACHE)
    layer = bundle_layer(
        PROJECT / "Pipfile.lock",
        CACHE,
        architecture=config.lambda_.architecture,
        for_host=config.lambda_.layer_platform == "host",
    )

    fast_bindings.install(CACHE)
    literal_text.install()
    # imported after install, which makes these imports fast
    from cdktf import App  # noqa: PLC0415

    from constructs_lib.stack import EndpointManagerStack  # noqa: PLC0415

    # Terraform itself checks its version and the providers: no need to start it for that.
    app = App(outdir=str(outdir), skip_validation=True)
    EndpointManagerStack(app, config, models, code=code, layer=layer, packages=packages)
    return app


def _check_quotas(outdir: Path) -> None:
    """Raises InvalidConfig if AWS would refuse the stack for its size; then it is not kept."""
    for stack in outdir.glob("stacks/*/cdk.tf.json"):
        exceeded = problems(json.loads(stack.read_text()))
        if exceeded:
            stack.unlink()
            raise InvalidConfig("the stack", exceeded)


def main(arguments: Sequence[str]) -> int:
    if arguments:
        print(__doc__.strip() if __doc__ else "", file=sys.stderr)
        return 0 if arguments[0] in ("-h", "--help") else USAGE_ERROR
    outdir = _path(os.environ.get("CDKTF_OUTDIR")) or PROJECT / "cdktf.out"
    try:
        outdir.mkdir(parents=True, exist_ok=True)  # jsii makes no parents
    except OSError as error:
        print(f"error: cannot make the folder {outdir}: {error}", file=sys.stderr)
        return USAGE_ERROR
    try:
        build(os.environ, outdir).synth()
        _check_quotas(outdir)
        unused = provider_lock.place(PROVIDER_LOCK, outdir)
        if unused:
            print(f"Note: {unused}", file=sys.stderr)
    except (InvalidConfig, BundleFailed) as error:
        print(error, file=sys.stderr)
        return USAGE_ERROR
    fast_bindings.wait_for_index()
    return 0


def _path(text: str | None) -> Path | None:
    return Path(text).resolve() if text else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
