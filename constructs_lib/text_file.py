"""Text as editors and shells write it: with or without a mark of its encoding (BOM)."""

from __future__ import annotations

import codecs

_UTF_8 = "UTF-8"
_MARKS = (  # that of UTF-32 begins with that of UTF-16
    (codecs.BOM_UTF8, _UTF_8),
    (codecs.BOM_UTF32_LE, "UTF-32-LE"),
    (codecs.BOM_UTF32_BE, "UTF-32-BE"),
    (codecs.BOM_UTF16_LE, "UTF-16-LE"),
    (codecs.BOM_UTF16_BE, "UTF-16-BE"),
)


class NotText(Exception):
    """The bytes cannot be read. The message says what they are and how to mend the file."""


def utf_8(raw: bytes) -> str:
    """The text of a file that has to be UTF-8, as JSON has (RFC 8259, section 8.1, which lets a
    reader skip the mark). Raises NotText."""
    encoding, start = _marked(raw)
    if encoding != _UTF_8 or b"\0" in raw[:4]:
        name = "UTF-16" if encoding == _UTF_8 else encoding[:6]
        raise NotText(f"it is {name} text: save it as UTF-8")
    return _decoded(raw[start:], _UTF_8)


def unicode(raw: bytes) -> str:
    """The text of a file in the encoding that its mark names, else in UTF-8. Raises NotText."""
    encoding, start = _marked(raw)
    return _decoded(raw[start:], encoding)


def _marked(raw: bytes) -> tuple[str, int]:
    """The encoding, and where the text begins."""
    return next(((name, len(mark)) for mark, name in _MARKS if raw.startswith(mark)), (_UTF_8, 0))


def _decoded(raw: bytes, encoding: str) -> str:
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise NotText(
            f"line {line} holds bytes ({raw[error.start : error.start + 1].hex()}) that are not "
            f"{encoding[:6]}, as of Latin-1: save it as UTF-8"
        ) from error
