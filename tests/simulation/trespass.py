"""What a meter may touch. An endpoint is changed only with an accepted request or a config for this
life of it, from its creation to its deletion. A refused request changes nothing.

This is checked independently, from the written items and the calls that arrive at SageMaker, for
all stacks of the account (docs/decisions/0090).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from lambdas.aws.attribute_values import instant
from lambdas.core.errors import AwsRefused, MeterError
from lambdas.core.settings import IGNORE_TAG_KEY, STACK_TAG_KEY, adopted_tag
from lambdas.core.sweep import Swept, Unmanaged
from tests.simulation.expressions import Item, plain
from tests.simulation.faults import Faults
from tests.simulation.kernel import Actor, Kernel
from tests.simulation.ledger import PREFIX
from tests.simulation.sagemaker import STACK_TAG, SageMaker
from tests.simulation.tables import Tables
from tests.simulation.versions import Versions
from tests.simulation.wire import Call, Wire

if TYPE_CHECKING:
    from tests.simulation.stack import Stack
    from tests.simulation.watch import Watch

MAX_STATE_BYTES = 32_768
_ONE_RUN = timedelta(seconds=45)
"""How long a reconcile may act on what it read: its time-out plus the errors of clocks."""
_TABLE_ID_KNOWN = timedelta(seconds=61)
"""How long the id of the state table is cached."""
_PRECISION = timedelta(milliseconds=2)
_RESERVED = frozenset({"CreateEndpoint", "DeleteEndpoint", "AddTags", "DeleteTags"})
"""The steps that wait until a restored table is accepted."""
_ENDS_A_READING = frozenset(
    {"DeleteEndpoint", "UpdateEndpoint", "UpdateEndpointWeightsAndCapacities"}
)


@dataclass
class Life:
    """One endpoint from its creation to its deletion. Stacks are named by their tags."""

    created_at: datetime
    made_by: str | None = None
    accepted: set[str] = field(default_factory=set)
    """Stacks that have it on the meter by an accepted adoption that is not void."""
    through: set[str] = field(default_factory=set)
    """Those of them with a complete adoption."""
    known: set[str] = field(default_factory=set)
    """Stacks that ever had it on the meter by an adoption."""
    ours: set[str] = field(default_factory=set)
    """Stacks that IAM lets change it."""
    ours_until: dict[str, datetime] = field(default_factory=dict)
    let_go: dict[str, datetime] = field(default_factory=dict)
    """When somebody removed the tag of a stack."""
    retagged: bool = False
    """Whether a person with a console ever changed its tags."""
    ignored_since: datetime | None = None
    ignored_once: bool = False

    def is_of(self, created_at: datetime | None) -> bool:
        return created_at is not None and abs(self.created_at - created_at) < _PRECISION

    def is_covered(self, stack: str) -> bool:
        return self.made_by == stack or stack in self.accepted


@dataclass(frozen=True)
class Reading:
    """The tags of an endpoint that a reconcile read."""

    at: datetime
    tags: dict[str, str]

    def allows(self, stack: str, operation: str) -> bool:
        mine, ignored = self.tags.get(STACK_TAG_KEY), IGNORE_TAG_KEY in self.tags
        if operation == "AddTags":
            return mine is None and not ignored
        return mine in (stack, adopted_tag(stack)) and not ignored


@dataclass
class Books:
    """The data about one stack, by the keys of endpoints."""

    stack: Stack
    counted: set[str] = field(default_factory=set)
    """Endpoints that use a place of `max_added_endpoints`."""
    adds: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How many endpoints an identity added per day."""
    pending: dict[str, datetime] = field(default_factory=dict)
    """Adoptions under way, with the creation time of their endpoints."""
    untried: set[str] = field(default_factory=set)
    """Endpoints that an adoption declared and that have no complete adoption so far."""
    most_operations: Counter[str] = field(default_factory=Counter)
    undeclared: dict[str, datetime] = field(default_factory=dict)

    @property
    def tables(self) -> Tables:
        return self.stack.tables

    def spec(self, key: str) -> Item | None:
        """The spec in force."""
        return self.item(key, "SPEC#config") or self.item(key, "SPEC#api")

    def item(self, key: str, sk: str) -> Item | None:
        return self.tables.get("state", PREFIX + key, sk)


Batch = dict[tuple[str, str], tuple[Item | None, Item | None]]
"""The writes of one call: by key and sort key the item before and after."""


class Trespass:
    """Watches the state tables of all stacks and their calls to SageMaker."""

    def __init__(
        self, kernel: Kernel, wire: Wire, faults: Faults, sagemaker: SageMaker, versions: Versions
    ) -> None:
        self.restored: datetime | None = None
        """Since when the watched stack has a restored table that nobody has accepted."""
        self._kernel = kernel
        self._wire = wire
        self._faults = faults
        self._sagemaker = sagemaker
        self._versions = versions
        self._books: dict[str, Books] = {}
        self._lives: dict[str, Life] = {}
        self._gone: dict[str, tuple[Life, datetime]] = {}
        self._unseen: dict[str, datetime] = {}
        """When a call about an endpoint last failed."""
        self._batch: Batch = {}
        self._watch: Watch
        sagemaker.mutating, sagemaker.mutated = self._mutating, self._mutated
        sagemaker.described, sagemaker.tags_read = self._described, self._tags_read

    def report_to(self, watch: Watch) -> None:
        """Report violations to `watch`, and subscribe to its events."""
        self._watch = watch
        changed = self._sagemaker.changed

        def on_changed(key: str) -> None:
            self._look(key)
            changed(key)

        def on_retagged(key: str) -> None:
            self._look(key)
            if self._kernel.actor is None and key in self._lives:
                self._lives[key].retagged = True
            watch.look(key)

        failed = self._wire.failed

        def on_failed(call: Call) -> None:
            failed(call)
            if call.key is not None:
                self._unseen[call.key] = self._kernel.now

        self._sagemaker.changed, self._sagemaker.retagged = on_changed, on_retagged
        self._wire.failed = on_failed

    def follow(self, stack: Stack) -> None:
        self._books[stack.tag] = Books(stack)
        stack.tables.watchers.append(self._write)
        stack.tables.written = partial(self._written, stack.tag)

    def begins(self, actor: Actor) -> None:
        """A reconcile begins. It has read nothing yet."""
        actor.notes["tags"] = {}

    def refused(self, actor: Actor, refusal: MeterError) -> None:
        """A request was refused: it must not have changed anything."""
        wrote = actor.notes.get("wrote")
        if wrote and not isinstance(refusal, AwsRefused):
            use = actor.notes["use"]
            self._wrong(actor.notes["stack"], wrote[0][0], f"{use} was refused and wrote {wrote}")

    def reported(self, stack: str, swept: Swept, began: datetime) -> None:
        """A sweep that began at that time reports endpoints to people."""
        for name in (*swept.unmanaged, *swept.orphans, *swept.late):
            life, unseen = self._lives.get(name.lower()), self._unseen.get(name.lower())
            seen = unseen is None or unseen < began  # a report too many is allowed
            if seen and life and life.ignored_since and life.ignored_since < began:
                self._wrong(stack, name.lower(), "is reported, though it is to be ignored")
        for name in swept.orphans:
            self._check_orphan(stack, name.lower())

    def told(self, stack: str, subject: str, text: str) -> None:
        """Notices to people: a stack that works has few."""
        name = subject.removeprefix("Orphaned endpoint ").removeprefix("Endpoint ").split(" ")[0]
        life = self._lives.get(name.lower())
        if subject.startswith("Orphaned endpoint "):
            self._check_orphan(stack, name.lower())
            expected = life is not None and life.retagged
        else:
            metering = self._books[stack].stack.policy.unmanaged is Unmanaged.METER
            expected = metering and subject.endswith("is on the meter now")
        if not expected:
            self._wrong(stack, name.lower(), f"people were told: {subject}: {text}")

    def _check_orphan(self, stack: str, key: str) -> None:
        life = self._lives.get(key)
        if life is not None and life.made_by != stack:
            self._wrong(stack, key, "is called an orphan of a stack that did not make it")

    def astray(self) -> list[str]:
        """Endpoints that carry the tag of a stack that never had a right to them."""
        return [
            key
            for key, life in sorted(self._lives.items())
            for stack in self._books
            if self._sagemaker.tags(key).get(STACK_TAG_KEY) == adopted_tag(stack)
            and stack not in life.known
            and not life.ignored_once
        ]

    def lost(self, key: str) -> None:
        """It was once on the meter by an adoption, and has no record now."""
        life = self._life(key)
        assert life is not None
        life.known.update(self._books)

    def pending(self, stack: str) -> list[str]:
        """Endpoints with an adoption under way."""
        return sorted(self._books[stack].pending) if stack in self._books else []

    def _wrong(self, stack: str, key: str, what: str) -> None:
        whose = "" if stack == STACK_TAG else f"[{stack}] "
        self._watch.violation(key, f"{whose}{what}")

    # --- endpoints and their tags -----------------------------------------------------------------

    def _life(self, key: str) -> Life | None:
        """The endpoint of that name that is there now."""
        endpoint, known = self._sagemaker.endpoint(key), self._lives.get(key)
        if known is not None and (endpoint is None or not known.is_of(endpoint.created_at)):
            self._gone[key] = self._lives.pop(key), self._kernel.now
            known = None
        if endpoint is not None and known is None:
            known = self._lives[key] = Life(endpoint.created_at)
        return known

    def _look(self, key: str) -> None:
        """Its status or its tags may have changed."""
        life, now = self._life(key), self._kernel.now
        if life is None:
            return
        tags, by_hand = self._sagemaker.tags(key), self._kernel.actor is None
        ignored = IGNORE_TAG_KEY in tags
        life.ignored_since = (life.ignored_since or now) if ignored else None
        life.ignored_once |= ignored  # then its tag is not removed either
        for stack in self._books:
            if self._sagemaker.ours(key, stack):
                life.ours.add(stack)
            elif stack in life.ours:
                life.ours.remove(stack)
                life.ours_until[stack] = now
                if by_hand:
                    life.through.discard(stack)
                    if STACK_TAG_KEY not in tags:
                        life.let_go[stack] = now

    def _tags_read(self, key: str) -> None:
        actor = self._kernel.actor
        if actor is not None and "tags" in actor.notes:
            reading = Reading(self._kernel.now, self._sagemaker.tags(key))
            actor.notes["tags"][key] = reading

    def _described(self, key: str) -> None:
        actor = self._kernel.actor
        if actor is not None:
            actor.notes[f"life of {key}"] = self._life(key)

    # --- calls to SageMaker -----------------------------------------------------------------------

    def _mutating(self, stack: str, operation: str, key: str) -> None:
        """A call that changes an endpoint arrived. It may still be refused."""
        actor, life = self._kernel.actor, self._life(key)
        if actor is None:
            return
        if actor.notes["function"] != "reconciler":
            self._wrong(stack, key, f"{operation} by {actor.notes['function']}, not the reconciler")
            return
        self._check_restored(actor, stack, operation, key)
        if operation in ("CreateEndpoint", "DeleteEndpoint") and stack == STACK_TAG:
            self._check_unreadable(actor, operation, key)
        if operation == "CreateEndpoint":
            self._check_create(actor, stack, key, life)
        elif life is not None and operation == "DeleteTags":
            if stack in life.accepted and self._sagemaker.status(key) != "Deleting":
                self._wrong(stack, key, "its tag is taken off though its adoption stands")
        elif life is not None:
            self._check_change(actor, stack, operation, key, life)

    def _check_create(self, actor: Actor, stack: str, key: str, life: Life | None) -> None:
        books, now = self._books[stack], self._kernel.now
        lately = now - books.undeclared.get(key, now - _ONE_RUN) < _ONE_RUN
        if books.spec(key) is None and not lately:
            self._wrong(stack, key, "is created though nobody declares it")
        if life is not None:  # SageMaker refuses
            if life.made_by != stack and life.created_at < actor.notes["began"]:
                self._wrong(stack, key, "is to be created where another's lives")
        elif key in books.untried and books.item(key, "SPEC#config") is None:
            self._wrong(stack, key, "is created, though its owner deleted what was to be adopted")

    def _check_change(self, actor: Actor, stack: str, operation: str, key: str, life: Life) -> None:
        """The owner was read again, allowed the change, and agrees with the accepted requests."""
        readings: dict[str, Reading] = actor.notes["tags"]
        reading = readings.get(key)
        if operation in _ENDS_A_READING:
            readings.pop(key, None)
        if reading is None:
            self._wrong(stack, key, f"{operation} without reading its tags anew")
        elif not reading.allows(stack, operation):
            self._wrong(stack, key, f"{operation}, though its tags are {reading.tags}")
        elif actor.notes.get(f"life of {key}") is not life:
            return  # replaced meanwhile
        elif operation == "AddTags":
            if not life.is_of(self._books[stack].pending.get(key)):
                self._wrong(stack, key, "is tagged though no adoption of it was accepted")
            elif self._was_let_go(stack, key, life, reading):
                self._wrong(stack, key, "is tagged again though somebody took the tag off")
        elif not life.is_covered(stack):
            self._wrong(stack, key, f"{operation}, which no request and no config covers")

    def _was_let_go(self, stack: str, key: str, life: Life, reading: Reading) -> bool:
        """Whether somebody removed the tag, and the record says that it was there."""
        item = self._books[stack].item(key, "STATE") or {}
        tagged_at = item.get("adopting", {"M": {}})["M"].get("tagged_at", {})
        return "N" in tagged_at and stack in life.let_go and life.let_go[stack] < reading.at

    def _check_restored(self, actor: Actor, stack: str, operation: str, key: str) -> None:
        if stack != STACK_TAG or self.restored is None or operation not in _RESERVED:
            return
        knows = actor.notes["began"] > self.restored + _TABLE_ID_KNOWN
        if knows and not self._watch.drained_lately():
            self._wrong(stack, key, f"{operation} by a restored table that nobody accepted")

    def _check_unreadable(self, actor: Actor, operation: str, key: str) -> None:
        """If its code cannot read the spec, a reconcile acts only on leases and stops."""
        account, now = self._watch.ledger.account(key), self._kernel.now
        spec, life = account.spec, self._lives.get(key)
        assert actor.reading is not None
        if not self._versions.is_behind(actor) or spec is None or not spec.newer:
            return
        if now - spec.since < _ONE_RUN or self._watch.drained_lately():
            return
        end = account.lease_end
        paid = end is not None and end > actor.reading - _ONE_RUN
        if operation == "CreateEndpoint" and not paid:
            self._wrong(STACK_TAG, key, "is started by a spec that cannot be read")
        stopped = account.stopped_at is not None and (
            (account.paid_at is None or account.stopped_at > account.paid_at)
            and (life is None or account.stopped_at >= life.created_at)
        )
        if operation == "DeleteEndpoint" and not stopped:
            self._wrong(STACK_TAG, key, "is stopped by a spec that cannot be read")

    def _mutated(self, stack: str, operation: str, key: str) -> None:
        """SageMaker accepted the call: now there is no excuse."""
        life = self._life(key)
        assert life is not None
        if operation == "CreateEndpoint":
            life.made_by = stack
            self._look(key)
        elif operation == "AddTags":
            for other in life.through - {stack}:
                self._wrong(stack, key, f"is taken over from {other}, whose adoption was through")
        elif operation != "DeleteTags" and not life.is_covered(stack):
            self._wrong(stack, key, f"{operation} of an endpoint that is somebody else's")

    # --- writes to the state table ----------------------------------------------------------------

    def _write(self, pk: str, sk: str, before: Item | None, after: Item | None) -> None:
        first, _ = self._batch.get((pk, sk), (before, None))
        self._batch[pk, sk] = first, after

    def _written(self, stack: str) -> None:
        """All writes of one call are known now."""
        batch, self._batch = self._batch, {}
        actor = self._kernel.actor
        for (pk, sk), (before, after) in sorted(batch.items()):  # specs before states
            if not pk.startswith(PREFIX):
                continue
            key = pk.removeprefix(PREFIX)
            first_state = sk == "STATE" and before is None  # every spec gets one
            no_effect = first_state or _writes_down_a_cut(before, after)
            if actor and actor.notes["function"] == "api" and not no_effect:
                actor.notes.setdefault("wrote", []).append((key, sk))
            if sk == "SPEC#api":
                self._api_spec(stack, key, before, after, batch)
            elif sk == "STATE":
                self._state(stack, key, before, after)
        if any(pk == "QUOTA#added" or sk == "SPEC#api" for pk, sk in batch):
            self._check_places(stack)

    def _api_spec(
        self, stack: str, key: str, before: Item | None, after: Item | None, batch: Batch
    ) -> None:
        """An endpoint is put on the meter together with its lease, and forgotten together with its
        stop."""
        books, state = self._books[stack], batch.get((PREFIX + key, "STATE"))
        lease = state and state[1]
        if before is None and after is not None:
            if lease is None or "expires_at" not in lease:
                self._wrong(stack, key, "is declared without a lease")
            if books.item(key, "SPEC#config"):
                self._wrong(stack, key, "is declared over the API though the config declares it")
            if lease and "adopting" in lease:
                books.untried.add(key)
            else:
                books.counted.add(key)
                self._check_adds(stack, key)
        if after is None and before is not None:
            if state is None:
                self._wrong(stack, key, "is taken off the meter, and its stop is another write")
            actor = self._kernel.actor
            if actor is not None and actor.notes["use"] == "forget":
                self._require(actor, stack, key, "add")
            books.counted.discard(key)
            books.untried.discard(key)
            books.undeclared[key] = self._kernel.now

    def _check_adds(self, stack: str, key: str) -> None:
        """An add needs the scope, and the same write counts it."""
        books, actor = self._books[stack], self._kernel.actor
        if actor is None:
            return
        self._require(actor, stack, key, "add")
        assert actor.reading is not None
        identity, day = actor.notes.get("identity", "ann"), f"{actor.reading:%Y-%m-%d}"
        books.adds[identity, day] += 1
        item = books.tables.get("history", f"RATE#{identity}", f"{day} adds") or {}
        counted = int(item.get("adds", {"N": "0"})["N"])
        most = books.stack.expiry.limits.max_added_per_token_per_day
        if counted != books.adds[identity, day] or counted > most:
            made = books.adds[identity, day]
            self._wrong(stack, key, f"{identity} added {made} endpoints today, counted {counted}")

    def _check_places(self, stack: str) -> None:
        books = self._books[stack]
        item = books.tables.get("state", "QUOTA#added", "QUOTA#added") or {}
        places = set(item.get("endpoints", {"SS": []})["SS"])
        for key in sorted(places ^ books.counted):
            self._wrong(
                stack, key, f"takes up a place: {key in places}, should: {key not in places}"
            )
        if len(places) > books.stack.expiry.limits.max_added:
            self._wrong(stack, "-", f"{len(places)} endpoints were added")

    def _state(self, stack: str, key: str, before: Item | None, after: Item | None) -> None:
        books, life = self._books[stack], self._life(key)
        if after is None:
            books.pending.pop(key, None)
            if life is not None:
                life.accepted.discard(stack)
                life.through.discard(stack)
            return
        self._check_size(stack, key, after)
        pending = (
            instant(plain(after["adopting"]["M"]["created_at"])) if "adopting" in after else None
        )
        former = books.pending.get(key)
        if pending == former:
            return
        if pending is not None:
            self._adoption_accepted(stack, key, pending)
        elif former is not None:
            del books.pending[key]
            self._adoption_over(stack, key, former, before or {}, after)

    def _adoption_accepted(self, stack: str, key: str, created_at: datetime) -> None:
        books, actor, life = self._books[stack], self._kernel.actor, self._life(key)
        books.pending[key] = created_at
        assert actor is not None
        if not _may_be_adopted(key):
            self._wrong(stack, key, "is adopted though its name is not to be")
        if actor.notes["function"] != "sweep":
            self._require(actor, stack, key, "manage")
            if not actor.notes.get("adopt"):
                self._wrong(stack, key, "is adopted though nobody asked for that")
        elif books.stack.policy.unmanaged is not Unmanaged.METER:
            self._wrong(stack, key, "is adopted by a sweep that should not")
        elif self.restored and actor.notes["began"] > self.restored + _TABLE_ID_KNOWN:
            self._wrong(stack, key, "is adopted by a sweep of a restored table")
        if life is None or not life.is_of(created_at):
            return  # its owner was faster
        life.accepted.add(stack)
        life.known.add(stack)
        life.let_go.pop(stack, None)
        if life.ignored_since and life.ignored_since < actor.notes["began"]:
            self._wrong(stack, key, "is adopted though it is to be ignored")
        spec, endpoint = books.item(key, "SPEC#api"), self._sagemaker.endpoint(key)
        if key in books.untried and spec and not endpoint.pending:
            config = spec["endpoint_config_name"]["S"]
            if config != endpoint.config_name:
                self._wrong(stack, key, f"is adopted with {config}, runs {endpoint.config_name}")

    def _adoption_over(
        self, stack: str, key: str, created_at: datetime, before: Item, after: Item
    ) -> None:
        """The adoption is complete or void, or the endpoint was forgotten."""
        books, life, actor = self._books[stack], self._life(key), self._kernel.actor
        assert actor is not None
        api = actor.notes["function"] == "api"
        void = not api and after.get("rev") != before.get("rev")
        if api or void or books.spec(key) is None:
            if life is not None and life.is_of(created_at) and (void or stack not in life.ours):
                life.accepted.discard(stack)
            if void and key in books.untried:
                self._wrong(stack, key, "a void adoption left the endpoint on the meter")
            lease = instant(plain(after["expires_at"])) if "expires_at" in after else None
            if void and lease and lease > self._kernel.now and books.spec(key) is None:
                self._wrong(stack, key, "a void adoption left its lease")
            return
        gone, at = self._gone.get(key, (None, self._kernel.now))
        if gone and gone.is_of(created_at) and self._kernel.now - at < _ONE_RUN:
            life = gone
        if life is None or not life.is_of(created_at):
            self._wrong(stack, key, "an adoption went through, but it was of another endpoint")
            return
        until = life.ours_until.get(stack)
        if stack not in life.ours and (until is None or self._kernel.now - until > _ONE_RUN):
            self._wrong(stack, key, "an adoption went through, but the endpoint is not ours")
        books.untried.discard(key)
        if stack in life.ours:
            life.through.add(stack)

    def _require(self, actor: Actor, stack: str, key: str, scope: str) -> None:
        scopes = actor.notes.get("scopes", f"{scope}").lower().split()
        if not {scope, f"{scope}:{key}"} & set(scopes):
            use = actor.notes["use"]
            self._wrong(stack, key, f"{use} was accepted by {scopes}, which lack '{scope}'")

    def _check_size(self, stack: str, key: str, item: Item) -> None:
        """The size is checked if the item has more operations than ever before: these make it
        large."""
        operations, books = len(item.get("ops", {"M": {}})["M"]), self._books[stack]
        if operations <= books.most_operations[key]:
            return
        books.most_operations[key] = operations
        size = _bytes({"M": item})
        if size > MAX_STATE_BYTES:
            self._wrong(stack, key, f"STATE has {size} bytes")


def _may_be_adopted(key: str) -> bool:
    return key.startswith(("model-", "mine", "theirs")) or key == "falcon"


def _bytes(value: Any) -> int:
    """The size of an item, roughly as DynamoDB counts it.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
    """
    ((kind, content),) = value.items()
    match kind:
        case "M":
            return 3 + sum(1 + len(name.encode()) + _bytes(part) for name, part in content.items())
        case "L":
            return 3 + sum(1 + _bytes(part) for part in content)
        case "SS":
            return sum(len(member.encode()) for member in content)
        case "N":
            return len(content) // 2 + 2
        case "S":
            return len(content.encode())
        case _:
            return 1


def _writes_down_a_cut(before: Item | None, after: Item | None) -> bool:
    """Whether a write only says what a lone stop has done already: no other one cuts and moves the
    time of the payment. The ledger checks it."""
    return bool(before and after) and all(
        before.get(name) != after.get(name)  # type: ignore[union-attr]
        for name in ("cuts", "paid_at")
    )
