"""Questions, and what is told of their answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from tools.verify_aws.aws import Aws
from tools.verify_aws.bench import Bench


@dataclass(frozen=True)
class Answer:
    """What AWS showed, as JSON, and how it differs from the assumption."""

    seen: Mapping[str, Any]
    differences: Sequence[str] = ()


def compared(expected: Mapping[str, Any], seen: Mapping[str, Any]) -> Answer:
    """An answer that agrees if `seen` has all that is expected. It may have more."""
    differences = [
        f"{name}: {seen.get(name)!r}, and {value!r} is assumed"
        for name, value in expected.items()
        if seen.get(name) != value
    ]
    return Answer(seen, differences)


@dataclass(frozen=True)
class Question:
    """`rests` is the file of the project that rests on the assumption. `embedded`: the embedded AWS
    can answer. `quick`: AWS answers in five minutes."""

    id: str
    text: str
    assumption: str
    rests: str
    ask: Callable[[Bench], Answer]
    embedded: bool = True
    quick: bool = True


class Outcome(StrEnum):
    AS_ASSUMED = "as assumed"
    DIFFERS = "differs"
    FAILED = "failed"
    NOT_ASKED = "not asked"


@dataclass(frozen=True)
class Result:
    """`details` say what differs, what failed, or why it was not asked."""

    question: Question
    outcome: Outcome
    details: Sequence[str] = ()
    seen: Mapping[str, Any] | None = None

    @property
    def is_good(self) -> bool:
        return self.outcome in {Outcome.AS_ASSUMED, Outcome.NOT_ASKED}

    def __str__(self) -> str:
        return ": ".join([self.outcome, *(["; ".join(self.details)] if self.details else [])])


def table(results: Iterable[Result]) -> str:
    """One row for each question, and details below the rows that have some."""
    rows = [("question", "answer", "what rests on it")]
    rows += [(one.question.id, str(one.outcome), one.question.rests) for one in results]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    details = [()] + [one.details for one in results]
    lines = []
    for (first, second, third), below in zip(rows, details, strict=True):
        lines.append(f"{first:{widths[0]}}  {second:{widths[1]}}  {third}")
        lines += [f"    {detail}" for detail in below]
    return "\n".join(lines)


def write(file: Path, results: Iterable[Result], bench: Bench, now: datetime) -> None:
    """Put the answers into the file. Answers of questions that were not asked stay."""
    known = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    source = "the embedded AWS" if bench.aws.embedded else f"an account, {bench.aws.region}"
    for one in results:
        if one.seen is not None:
            known[one.question.id] = {
                "date": now.date().isoformat(),
                "source": source,
                "outcome": str(one),
                "seen": one.seen,
            }
    text = json.dumps(known, indent=2, sort_keys=True, ensure_ascii=False)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(_anonymous(text, bench.aws, bench.name) + "\n", encoding="utf-8")


def _anonymous(text: str, aws: Aws, name: str) -> str:
    """Without the account's number and the names of this run."""
    return text.replace(name, "{name}").replace(aws.account, "{account}")
