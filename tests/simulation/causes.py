"""What ended each running time, found independently: by watching what happens at the instant at
which an endpoint stops being wanted. What the meter stores, tells and shows is compared with it."""

from __future__ import annotations

import re
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from lambdas.aws.attribute_values import decode, instant
from tests.simulation import oracle
from tests.simulation.expressions import Item
from tests.simulation.kernel import Actor, Kernel
from tests.simulation.ledger import PREFIX, Account, Ledger
from tests.simulation.sentences import Shown, rule_in

_SKEW = timedelta(seconds=4.5)
"""Two clocks, each wrong by two seconds."""
_LOOKED_AT = timedelta(minutes=3)
"""How soon after that the meter has looked at what it waited for."""
_SENTENCES = {
    "hand": r"stopped by hand at (?P<at>\S+)( \((?P<detail>.*)\))?",
    "lease": r"the lease ended at (?P<at>\S+)",
    "window": r"the window '(?P<detail>.*)' closed at (?P<at>\S+)",
    "schedule": r"the schedule '(?P<detail>.*)' stopped it at (?P<at>\S+)",
    "change": r"its schedules or its lease were changed after (?P<at>\S+)",
    "drain": r"it was stopped at (?P<at>\S+), as the stack was being destroyed",
}
_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
_NEVER = "no lease was paid and no window has opened yet"


@dataclass(frozen=True)
class Told:
    """What the meter says ended a running time."""

    cause: str
    at: datetime
    detail: str = ""


@dataclass(frozen=True)
class Flip:
    """What really did, with the names that go with it."""

    at: datetime
    causes: frozenset[str]
    names: frozenset[str] = frozenset()

    def agrees(self, told: Told) -> bool:
        if told.cause not in self.causes:
            return False
        if told.cause in ("change", "drain"):  # nobody says when exactly
            return True
        named = told.cause == "lease" or told.detail in self.names
        return named and told.at == self.at.replace(microsecond=0)


@dataclass
class Story:
    """What happened to the meter of one endpoint."""

    wanted: bool = False
    meant: bool = False
    """Whether it would be wanted if the stack were not drained."""
    flips: deque[Flip] = field(default_factory=lambda: deque(maxlen=20))
    stored: Told | None = None
    after: Flip | None = None
    """The last flip when that was stored."""
    wanted_since: datetime = _LONG_AGO
    cut: Told | None = None
    """A stop by somebody whose clock is ahead: the lease ends a moment after it."""
    spec: object = None
    spec_changed: datetime | None = None
    looked: datetime | None = None
    """When the meter last stored whether it is wanted, by its clock."""
    unseen: Flip | None = None
    """A flip since the last one that the meter may have seen, or not."""
    noted: bool = False
    """What it stored."""
    deleted_for: str | None = None
    """What the history says that its last deletion was for."""
    set_up: tuple[datetime, datetime] | None = None
    """By the meter, and when that was written: a sync that sets up many endpoints takes a while."""

    @property
    def is_seen(self) -> bool:
        """Whether the meter knows that it is wanted. Before its first look it goes by the schedules
        alone. If two clocks may differ too much to tell, it goes by what it stored."""
        if self.looked is None:
            return True
        after = self.looked - self.wanted_since
        return self.noted if abs(after) < _SKEW else after > timedelta()


class Causes:
    """`undecided` says whether nobody can know now if an endpoint is wanted."""

    def __init__(
        self,
        kernel: Kernel,
        ledger: Ledger,
        violation: Callable[[str, str], None],
        undecided: Callable[[str], bool],
    ) -> None:
        self.stories: dict[str, Story] = defaultdict(Story)
        self._kernel, self._ledger = kernel, ledger
        self._violation, self._undecided = violation, undecided
        self._unclear: dict[str, datetime] = {}
        self.accepted: datetime | None = None
        """When somebody last accepted a restored state table."""

    def looked(self, key: str, *, wanted: bool) -> None:
        """Called at each instant at which that may change."""
        story, account, now = self.stories[key], self._ledger.account(key), self._kernel.now
        meant = self._meant(account, now)
        if account.spec is not story.spec:
            story.spec, story.spec_changed = account.spec, now
        if self._undecided(key):
            self._unclear[key] = now
        if not account.exists:
            self.stories[key] = Story(wanted, spec=story.spec, spec_changed=story.spec_changed)
        elif story.wanted and not wanted:
            drained = Flip(now, frozenset({"drain"})) if self._ledger.draining(now) else None
            flip = drained or self._flip(account, now)
            if flip.causes == {"hand"} and story.cut and story.cut.at > now - _SKEW:  # two stops
                story.flips.append(Flip(story.cut.at, flip.causes, frozenset({story.cut.detail})))
            leased = account.lease_end == now
            unpaid = {"window", "change"} if leased else {"window", "change", "schedule"}
            if story.is_seen or not flip.causes <= unpaid:
                story.flips.append(flip)
            else:
                story.unseen = flip  # perhaps nobody was there to see that one
        elif wanted and not story.wanted:
            story.wanted_since, story.unseen = now, None
        elif story.meant and not meant:
            # A drain had stopped it before. Both are true.
            flip = self._flip(account, now)
            if flip.causes & {"hand", "lease"}:
                story.flips.append(replace(flip, causes=flip.causes | {"drain"}))
        story.wanted, story.meant = wanted, meant

    def _meant(self, account: Account, now: datetime) -> bool:
        spec = account.spec
        return spec is not None and oracle.wanted(
            spec.schedules, account.lease_end, account.held_since, now
        )

    def _flip(self, account: Account, now: datetime) -> Flip:
        actor = self._kernel.actor
        use = actor.notes["use"] if actor else ""
        if actor and use in ("stop", "forget"):
            assert actor.reading is not None
            return Flip(actor.reading, frozenset({"hand"}), frozenset({_person(actor)}))
        if actor and use == "end session":
            assert actor.reading is not None
            # By a clock that is behind, the rest of the lease ended a moment later.
            return Flip(max(actor.reading, account.lease_end or _LONG_AGO), frozenset({"lease"}))
        cut = self.stories[account.key].cut
        # Of two stops the second one, by a clock that is behind, may move the end once more.
        moved = cut is not None and now < cut.at < now + _SKEW and account.lease_end == now
        if cut is not None and (cut.at == now or moved):
            return Flip(cut.at, frozenset({"hand"}), frozenset({cut.detail}))
        if stops := _stopping(account, now):
            return Flip(now, frozenset({"schedule"}), frozenset(stops))
        causes = {"lease"} if account.lease_end == now else set()
        names = set(_closing(account, now))
        if names:
            causes.add("window")
        return Flip(now, frozenset(causes or {"change"}), frozenset(names))

    def written(self, pk: str, sk: str, before: Item | None, after: Item | None) -> None:
        """Called for each write to the state table."""
        if sk != "STATE" or after is None:
            return
        key = pk.removeprefix(PREFIX)
        story, told = self.stories[key], _stored(after)
        looked = _seen(after)
        if before is None:
            story.set_up = _instant_in(after, "set_up_at") or self._kernel.now, self._kernel.now
        if told != story.stored:
            if told is not None and not self._allowed(key, story, told):
                flips = [f"{f.at:%H:%M:%S} {sorted(f.causes)}" for f in story.flips]
                self._violation(key, f"stored {told}, though it was {flips[-3:]}")
            if told is not None and told.cause == "hand" and (story.wanted or story.meant):
                story.cut = told
            story.stored, story.after = told, story.flips[-1] if story.flips else None
        if looked is not None:
            story.looked, story.noted = looked, after["last_wanted"]["BOOL"]
        if after.get("intent") != (before or {}).get("intent") and self._kernel.actor:
            self._kernel.actor.notes[f"stored {key}"] = story.stored

    def _allowed(self, key: str, story: Story, told: Told) -> bool:
        """Whether what is stored now is what ended the last running time."""
        account, now = self._ledger.account(key), self._kernel.now
        last = story.flips[-1] if story.flips else None
        settled = last is story.after and not story.wanted  # an edit may not change it
        if self._undecided(key) or (not settled and self._doubtful(key, story)):
            return True
        if last is not None and last is not story.after:
            near = [flip for flip in story.flips if flip.at >= last.at - _SKEW]
            if any(flip.agrees(told) for flip in near):
                return True
        unseen = story.unseen is not None and story.unseen.agrees(told)
        if unseen or (told.cause == "drain" and self._drained_lately()):
            return True
        recent = last is not None and last.at > now - _SKEW
        if told.cause == "hand" and (recent or story.wanted or story.meant):
            return _of_a_stop(self._kernel, told)
        if not story.wanted:
            ended = told.cause == "lease" and (recent or story.meant)
            of_session = ended and _of_a_session(self._kernel, told)
            return of_session or _closed_at_set_up(account, story, told)
        if told.cause == "lease":  # the clock of the meter is ahead
            return told.at == account.lease_end and abs(told.at - now) < _SKEW
        if told.cause not in ("window", "schedule") or abs(told.at - now) >= _SKEW:
            return False
        ends = _stopping if told.cause == "schedule" else _closing
        return told.detail in ends(account, told.at)

    def _doubtful(self, key: str, story: Story) -> bool:
        """Whether the last flip cannot be known to the meter: between it and the last look before
        it, specs were not readable, or were changed."""
        since = story.looked or _LONG_AGO
        unclear = self._unclear.get(key, _LONG_AGO)
        if self._undecided(key) or unclear > since - timedelta(minutes=2):
            return True
        changed = story.spec_changed
        return changed is not None and changed > since - _SKEW

    def _drained_lately(self) -> bool:
        lately = self._ledger.drained_lately
        return lately is not None and self._kernel.now - lately < timedelta(minutes=10)

    def created(self, key: str) -> None:
        """Somebody creates it: this is another life."""
        self.stories[key].deleted_for = None

    def told(self, key: str, sentence: str) -> None:
        """A deletion is explained with this. The explanation was part of the write of the intent: a
        user may have written another end since."""
        story, told, actor = self.stories[key], _parsed(sentence), self._kernel.actor
        assert actor is not None
        story.deleted_for = sentence
        stored = actor.notes.get(f"stored {key}", story.stored)
        if told is not None and told != stored and not self._doubtful(key, story):
            self._violation(key, f"is deleted as {sentence!r}, and stored is {stored}")

    def shown(self, key: str, document: Mapping[str, Any]) -> None:
        """An answer that is made at this instant: wanted or not, and why."""
        account, story, now = self._ledger.account(key), self.stories[key], self._kernel.now
        if (document["Wanted"] == "running") is not story.wanted:
            self._violation(key, f"is shown as {document['Wanted']}, wanted {story.wanted}")
            return
        shown = Shown(
            document["Status"],
            document["ServedConfigName"],
            account.configs,
            wanted=story.wanted,
            adopting=account.adopting,
            deleted_for=story.deleted_for,
            restored=self.accepted is not None and now - self.accepted < _LOOKED_AT,
        )
        rule = rule_in(document["Reason"], shown)
        if rule is None:
            self._violation(key, f"{document['Reason']!r}, it says, and {shown}")
        elif rule:
            self._follows(key, rule)

    def _follows(self, key: str, reason: str) -> None:
        """Whether the rule of running says this now."""
        account, story, now = self._ledger.account(key), self.stories[key], self._kernel.now
        if paid := re.fullmatch(
            r"the lease is paid(?: until|, until '(.*)' stops it at) (\S+)", reason
        ):
            end = _instant(paid[2])
            told_of = not paid[1] or paid[1] in _stopping(account, end)
            longest = end >= _latest_close(account, now)
            true = longest and told_of and end == account.lease_end
            if not story.wanted or end <= now or not true:
                self._violation(key, f"{reason}, it says, and it is until {account.lease_end}")
        elif opened := re.fullmatch(
            r"the window '(.*)' is open(?: until|, until '(.*)' stops it at) (\S+)", reason
        ):
            stop = _instant(opened[3])
            told_of = not opened[2] or opened[2] in _stopping(account, stop)
            closing = opened[1] in _closing(account, stop)
            longest = stop >= max(_latest_close(account, now), account.lease_end or now)
            true = longest and told_of and closing
            if not story.wanted or stop <= now or not true:
                self._violation(key, f"{reason}, it says")
        elif opened := re.fullmatch(r"the window '(.*)' is open for ever", reason):
            if not story.wanted or not _stays_open(account, opened[1], now):
                self._violation(key, f"{reason}, it says")
        elif not _is_end(reason):
            self._violation(key, f"{reason!r} is no sentence that it may say")
        elif story.wanted or not self._true(key, story, _parsed(reason)):
            self._violation(key, f"{reason}, it says, and {story.flips}, {story.stored}")

    def _true(self, key: str, story: Story, told: Told | None) -> bool:
        if told == story.stored and (not story.flips or story.flips[-1] is story.after):
            return True
        if self._doubtful(key, story) or self._drained_lately():
            return True
        if told is None:
            return not story.flips
        near = [flip for flip in story.flips if flip.at >= story.flips[-1].at - _SKEW]
        return any(flip.agrees(told) for flip in near)


def _closing(account: Account, at: datetime) -> Iterator[str]:
    """The names of the schedules of which a window that is not held closes then."""
    schedules = account.spec.schedules if account.spec else ()
    for _, stop, name in oracle.open_windows(schedules, account.held_since, at):
        if stop == at:
            yield name


def _latest_close(account: Account, now: datetime) -> datetime:
    """When the last of the windows closes that are open now."""
    return max((stop for stop, _ in _open(account, now)), default=now)


def _stays_open(account: Account, name: str, now: datetime) -> bool:
    """Whether a window of that schedule is open at the same time of each of many days to come."""
    days = (now + timedelta(days=day) for day in range(400))
    return all(name in {opened for _, opened in _open(account, day)} for day in days)


def _open(account: Account, now: datetime) -> Iterator[tuple[datetime, str]]:
    """When the windows close that are open now, and the names of their schedules."""
    schedules = account.spec.schedules if account.spec else ()
    for start, stop, name in oracle.open_windows(schedules, account.held_since, now):
        if start <= now < stop:
            yield stop, name


def _stopping(account: Account, at: datetime) -> set[str]:
    """The names of the schedules that stop what runs then."""
    return oracle.stopped_at(account.spec.schedules if account.spec else (), at)


def _closed_at_set_up(account: Account, story: Story, told: Told) -> bool:
    """Whether a window closed after the meter read the time at which it set the endpoint up, and
    before it wrote that."""
    if told.cause != "window" or story.looked or not story.set_up:
        return False
    set_up_at, written_at = story.set_up
    return set_up_at < told.at <= written_at and told.detail in _closing(account, told.at)


def _of_a_stop(kernel: Kernel, told: Told) -> bool:
    actor = kernel.actor
    if actor is None or actor.reading is None or actor.notes["use"] not in ("stop", "forget"):
        return False
    right = told.at == actor.reading.replace(microsecond=0)
    return right and told.detail == _person(actor)


def _of_a_session(kernel: Kernel, told: Told) -> bool:
    """Whether a program ends its session: one that had just run out, if its clock is behind, or
    during a drain."""
    actor = kernel.actor
    if actor is None or actor.reading is None or actor.notes["use"] != "end session":
        return False
    return told.at == actor.reading.replace(microsecond=0)


def _person(actor: Actor) -> str:
    """The name of the token with which somebody stops an endpoint."""
    name: str = actor.notes.get("person") or actor.notes.get("identity", "ann")
    return name


def _stored(item: Item) -> Told | None:
    if "ended" not in item:
        return None
    ended = decode({"ended": item["ended"]})["ended"]
    at = instant(ended["at"])
    assert at is not None
    return Told(ended["cause"], at, ended["detail"])


def _seen(item: Item) -> datetime | None:
    return _instant_in(item, "last_wanted_seen")


def _instant_in(item: Item, name: str) -> datetime | None:
    value = item.get(name)
    return instant(decode({name: value})[name]) if value else None


def _parsed(sentence: str) -> Told | None:
    for cause, pattern in _SENTENCES.items():
        if found := re.fullmatch(pattern, sentence):
            parts = found.groupdict()
            return Told(cause, _instant(parts["at"]), parts.get("detail") or "")
    return None


def _is_end(reason: str) -> bool:
    return reason == _NEVER or _parsed(reason) is not None


def _instant(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
