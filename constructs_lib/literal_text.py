"""Terraform reads each text as it was written, but for the references that cdktf makes.

In any string of a stack, Terraform evaluates `${…}` and `%{…}`. What people write in a config must
not be evaluated. So both are escaped in the one place that every string passes on its way from
Python to cdktf: where jsii makes what it sends. Names, hashes and JSON are made before that, from
the text as it was written. See docs/decisions/0111-texts-are-literal.md
"""

from __future__ import annotations

import re
from typing import Any

# `{TfToken[` marks what cdktf resolves. The config refuses it in what people write.
_READ_BY_TERRAFORM = re.compile(
    r"(?P<before>\$+)(?=\$\{TfToken\[)|(?P<sign>[$%])(?=\{(?!TfToken\[))"
)


class Expression(str):
    """A text that Terraform is to evaluate."""

    __slots__ = ()


def literal(text: str) -> str:
    """The template whose value is `text`. The tokens of cdktf in it stay."""
    return _READ_BY_TERRAFORM.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    """`$${` is the text `${`; so a `$` before a reference has to be a reference itself."""
    return found["sign"] * 2 if found["sign"] else '${"$"}' * len(found["before"])


def install() -> None:
    """From now on cdktf gets literal texts. A second call changes nothing."""
    # imported late: it starts Node, for which `fast_bindings` sets things up
    from jsii import _kernel  # noqa: PLC0415

    kernel_module: Any = _kernel  # untyped, as what is private
    made = kernel_module._make_reference_for_native  # noqa: SLF001  # it alone sees every string
    if hasattr(made, "makes_literal"):
        return

    def literally(kernel: Any, value: Any) -> Any:
        if isinstance(value, dict):
            value = {_sent(key): below for key, below in value.items()}
        return made(kernel, _sent(value))

    literally.makes_literal = True  # type: ignore[attr-defined]
    kernel_module._make_reference_for_native = literally  # noqa: SLF001


def _sent(value: Any) -> Any:
    if isinstance(value, Expression) or not isinstance(value, str):
        return value
    return literal(value)
