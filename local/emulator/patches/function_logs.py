"""Functions log through Python's `logging`, as on AWS.

Lambda's runtime gives the root logger a handler. MiniStack's worker does not, so messages below
WARNING would be lost.
https://docs.aws.amazon.com/lambda/latest/dg/python-logging.html
"""

from importlib import import_module
from typing import Any

_BEGINNING = "    sys.stdout = sys.stderr\n"
_HANDLER = """\
    import logging
    logging.basicConfig(
        stream=sys.stderr, format="[%(levelname)s]\\t%(asctime)s.%(msecs)03dZ\\t%(message)s"
    )
"""

lambda_runtime: Any = import_module("ministack.core.lambda_runtime")


def apply() -> None:
    """Set up the handler before the function's module is imported."""
    script: str = lambda_runtime._PYTHON_WORKER_SCRIPT
    if script.count(_BEGINNING) != 1:
        raise RuntimeError("the worker's script is not the one that this patch knows")
    lambda_runtime._PYTHON_WORKER_SCRIPT = script.replace(_BEGINNING, _BEGINNING + _HANDLER)
