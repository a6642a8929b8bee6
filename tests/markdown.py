"""The documents as the tests read them: their fenced blocks, links and headings.

A comment right before a block says what a test does with it:

    <!-- run: NAME -->        `sh`: run, together with all blocks of that name of the document
    <!-- not run: REASON -->  `sh`: not run
    <!-- config -->           `json`: top-level fields of a config that must be right
    <!-- config: whole -->    `json`: a whole config that must be right
    <!-- entry -->            `json`: fields of an entry that must be right; `entry: 4 instances` is
                              an entry with so many

A `json` block without a comment is an answer: it follows the block that asks, with one answer for
each line of it that begins with `curl`.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"^<!-- ([^\n]+) -->\n\Z", re.MULTILINE)
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_RUN = re.compile(r"run: (.+)")
_NOT_RUN = re.compile(r"not run: (.{10,})")


@dataclass(frozen=True)
class Block:
    """A fenced block; `mark` is the comment right before it, '' where there is none."""

    document: str
    line: int
    language: str
    text: str
    mark: str

    @property
    def run(self) -> str | None:
        """The name under which it is run."""
        found = _RUN.fullmatch(self.mark)
        return found[1] if found else None

    @property
    def reason(self) -> str | None:
        """Why it is not run."""
        found = _NOT_RUN.fullmatch(self.mark)
        return found[1] if found else None

    @property
    def where(self) -> str:
        return f"{self.document}:{self.line}"


@dataclass
class Asked:
    """A block that is run, and the answers that stand behind it."""

    block: Block
    answers: list[Block] = field(default_factory=list)


@dataclass(frozen=True)
class Document:
    name: str
    """Its path in the project."""
    text: str

    @property
    def blocks(self) -> Sequence[Block]:
        found = []
        for match in _FENCE.finditer(self.text):
            before = self.text[: match.start()]
            mark = _COMMENT.search(before)
            line = before.count("\n") + 1
            found.append(
                Block(self.name, line, match[1], match[2], mark[1].strip() if mark else "")
            )
        return found

    @property
    def prose(self) -> str:
        """The text without its blocks."""
        return _FENCE.sub("", self.text)

    @property
    def links(self) -> Sequence[str]:
        return _LINK.findall(self.prose)

    @property
    def anchors(self) -> frozenset[str]:
        """Of its headings, as they are made of them."""
        return frozenset(_anchor(heading) for heading in _HEADING.findall(self.prose))

    def scripts(self) -> dict[str, list[Asked]]:
        """What is run, by name, in its order."""
        found: dict[str, list[Asked]] = {}
        last: Asked | None = None
        for block in self.blocks:
            if block.language == "sh":
                last = Asked(block) if block.run else None
                if last and block.run:
                    found.setdefault(block.run, []).append(last)
            elif block.language == "json" and not block.mark:
                assert last, f"{block.where}: an answer to what? Say what it is by a comment"
                last.answers.append(block)
        return found


def documents() -> Sequence[Document]:
    """All that git tracks, or would."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    names = sorted(set(filter(None, listed.stdout.split("\0"))))
    return [read(name) for name in names if (ROOT / name).is_file()]


def read(name: str) -> Document:
    return Document(name, (ROOT / name).read_text(encoding="utf-8"))


def target(document: Document, link: str) -> tuple[Path, str] | None:
    """The file and the anchor that a relative link leads to; None for one that leaves."""
    if re.match(r"[a-z]+:", link):
        return None
    path, _, anchor = link.partition("#")
    here = ROOT / document.name
    return ((here.parent / path).resolve() if path else here), anchor


def broken_links(document: Document) -> Iterator[str]:
    for link in document.links:
        leads = target(document, link)
        if leads is None:
            continue
        path, anchor = leads
        if not path.is_relative_to(ROOT) or not path.exists():
            yield f"{document.name}: {link} leads to no file"
        elif anchor and anchor not in read(str(path.relative_to(ROOT))).anchors:
            yield f"{document.name}: {link} leads to no heading"


def _anchor(heading: str) -> str:
    """As GitHub makes it."""
    text = _LINK.sub(lambda link: link[0].partition("]")[0][1:], heading)
    return re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
