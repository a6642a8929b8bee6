"""Deliberate bugs. Each is put into the real code, and the simulation or the crash matrix must find
it. A test that does not find its mutants proves nothing."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType

_FRESH = ("lambdas", "tests.fakes", "tests.simulation")


@dataclass(frozen=True)
class Mutant:
    """In `module`, `old` (which must occur exactly once) becomes `new`. `caught_by` is the argument
    of `trials.findings` with which the bug shows."""

    name: str
    module: str
    old: str
    new: str
    caught_by: str


class MutantMisfit(Exception):
    """The text that a mutant replaces does not occur exactly once."""


class _Loader(SourceFileLoader):
    def __init__(self, mutant: Mutant, path: str) -> None:
        super().__init__(mutant.module, path)
        self._mutant = mutant

    def get_code(self, fullname: str) -> CodeType:
        source, mutant = self.get_source(fullname) or "", self._mutant
        if source.count(mutant.old) != 1:
            raise MutantMisfit(
                f"{mutant.name}: {mutant.old!r} stands {source.count(mutant.old)} times in "
                f"{mutant.module}; change the mutant along with the code"
            )
        code = source.replace(mutant.old, mutant.new)
        return compile(
            code, f"<{mutant.name}>", "exec"
        )  # this file name keeps it out of the coverage


class _Finder(MetaPathFinder):
    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        if fullname != self._mutant.module:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.origin is not None:
            spec.loader = _Loader(self._mutant, spec.origin)
        return spec


@contextmanager
def loose(mutant: Mutant) -> Iterator[None]:
    """A context in which modules are imported again, with the mutant. Afterwards nothing of it is
    left."""
    kept = {name: module for name, module in sys.modules.items() if _is_fresh(name)}
    parents = {name: vars(sys.modules[name]).copy() for name in ("tests",) if name in sys.modules}
    finder = _Finder(mutant)
    for name in kept:
        del sys.modules[name]
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in [name for name in sys.modules if _is_fresh(name)]:
            del sys.modules[name]
        sys.modules.update(kept)
        for name, attributes in parents.items():
            vars(sys.modules[name]).update(attributes)


def findings(mutant: Mutant, where: str) -> Sequence[str]:
    """The violations that a mutant causes there. Empty if it is not found."""
    with loose(mutant):
        trials = importlib.import_module("tests.simulation.trials")
        found: Sequence[str] = trials.findings(where)
        return found


def _is_fresh(name: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in _FRESH)


CORE, AWS = "lambdas.core", "lambdas.aws"

MUTANTS = (
    Mutant(
        "a renewal that lands meanwhile is slept through: the revision is not compared",
        f"{AWS}.state_store",
        "{lock_owner} = :owner AND {rev} = :rev",
        "{lock_owner} = :owner AND :rev = :rev",
        "reconcile: create against a stop",
    ),
    Mutant(
        "users' writes make no new revision",
        f"{AWS}.state_store",
        '.add("rev", 1)',
        '.add("rev", 0)',
        "renew: absent",
    ),
    Mutant(
        "users' writes leave next_due as it was",
        f"{AWS}.state_store",
        '{"next_due": epoch(now), "due_shard": _shard(key)}',
        '{"due_shard": _shard(key)}',
        "renew: absent",
    ),
    Mutant(
        "a lock is taken whoever holds it",
        f"{AWS}.state_store",
        "attribute_not_exists({lock_until}) OR {lock_until} <= :now",
        "attribute_exists({pk}) OR {lock_until} <= :now",
        "reconcile: delete against another hint",
    ),
    Mutant(
        "a renewal overwrites one that was first",
        f"{AWS}.state_store",
        "attribute_not_exists({expires_at}) OR {expires_at} <= :now",
        "attribute_exists({pk}) OR {expires_at} <= :now",
        "renew: absent against a renewal",
    ),
    Mutant(
        "a start that cannot be read is made again",
        f"{CORE}.reconcile",
        "return invalid or error.code in _UNREADABLE",
        "return invalid",
        "reconcile: start that cannot be read",
    ),
    Mutant(
        "an invalid start is made for ever",
        f"{CORE}.reconcile",
        "_INVALID_FOR_GOOD = 5",
        "_INVALID_FOR_GOOD = 99",
        "reconcile: start that stays invalid",
    ),
    Mutant(
        "a renewal does not try again what was dropped",
        f"{AWS}.state_store",
        '.remove("held_since", "retry_at", "stranger", "dropped")',
        '.remove("held_since", "retry_at", "stranger")',
        "renew: after a start that cannot be read",
    ),
    Mutant(
        "a renewal leaves the hold",
        f"{AWS}.state_store",
        '.remove("held_since", "retry_at", "stranger", "dropped")',
        '.remove("retry_at", "stranger", "dropped")',
        "renew: held",
    ),
    Mutant(
        "a stop overwrites a renewal that came in between",
        f"{AWS}.state_store",
        '.add("cuts", 1).when("{rev} = :rev", rev=state.rev)',
        '.add("cuts", 1).when("{rev} >= :rev", rev=state.rev)',
        "stop: in a window against a renewal",
    ),
    Mutant(
        "the lock is kept after a save",
        f"{AWS}.state_store",
        '{"claimed_until": epoch(claimed_until)}).remove("lock_owner", "lock_until")',
        '{"claimed_until": epoch(claimed_until)})',
        "renew: absent",
    ),
    Mutant(
        "an Idempotency-Key may be recorded twice",
        f"{AWS}.state_store",
        "attribute_not_exists({{ops.{keyed.id}}})",
        "attribute_exists({{pk}})",
        "renew: with a key against a renewal with its key",
    ),
    Mutant(
        "a state is forgotten though it was renewed",
        f"{AWS}.state_store",
        '"lock_owner = :owner AND rev = :rev"',
        '"lock_owner = :owner AND :rev = :rev"',
        "reconcile: forget what was added against an add",
    ),
    Mutant(
        "a state is made over one that exists",
        f"{AWS}.state_store",
        '.assign(_due_shard(key, state))\n            .when("attribute_not_exists({pk})")',
        ".assign(_due_shard(key, state))",
        "sync: new against a renewal",
    ),
    Mutant(
        "schedules are changed without waking the endpoint",
        f"{AWS}.state_store",
        'touch = _user_write(spec.key, due).when("attribute_exists({pk})")',
        'touch = UpdateExpression().add("rev", 1).when("attribute_exists({pk})")',
        "schedules: opening",
    ),
    Mutant(
        "only the first page of a scan is read",
        f"{AWS}.state_store",
        'paginator("scan").paginate(**arguments):\n',
        'paginator("scan").paginate(**arguments):\n                if arguments.pop("read", 0):'
        '\n                    return\n                arguments["read"] = 1\n',
        "sync: after a drain",
    ),
    Mutant(
        "only the first page of what is due is read",
        f"{AWS}.state_store",
        "for page in pages:\n                    for item in map(decode",
        "for page in [next(iter(pages))]:\n                    for item in map(decode",
        "tick: two due",
    ),
    Mutant(
        "gone is taken for busy",
        f"{AWS}.errors",
        '("Could not find endpoint ", Gone),\n    ("Cannot update in-progress endpoint ", In',
        '("Could not find endpoint ", InProgress),\n    ("Cannot update in-progress endpoint ", In',
        "renew: absent",
    ),
    Mutant(
        "a missing endpoint config is taken for a missing endpoint",
        f"{AWS}.errors",
        "if _NOT_AN_ENDPOINT not in message:",
        "if True:",
        "reconcile: config not seen",
    ),
    Mutant(
        "messages that SQS refused of a batch are dropped",
        f"{AWS}.queues",
        "            if not entries:\n",
        "            if True:\n",
        "tick: messages not taken",
    ),
    Mutant(
        "starts and stops share one queue",
        f"{AWS}.queues",
        "self._send_all(self._work_url, [hint for hint in every if not hint.start])",
        "self._send_all(self._starts_url, [hint for hint in every if not hint.start])",
        "reconcile: delete",
    ),
    Mutant(
        "nothing comes again after a create or an update",
        f"{CORE}.reconcile",
        "look_again = replace(had_its_turn(state, step), next_due=now + POLL, next_step=Step.WAIT)",
        "look_again = replace(state, next_due=None, next_step=Step.WAIT)",
        "reconcile: config not seen",
    ),
    Mutant(
        "no re-check after a delete",
        f"{CORE}.decision",
        "    return _wait(state, now + poll, reason)\n",
        "    return _wait(state, None if poll is deleting else now + poll, reason)\n",
        "reconcile: failed",
    ),
    Mutant(
        "the lock is not taken",
        f"{CORE}.reconcile",
        "self.store.lock(record.key, self.owner, now, now + LOCK)",
        "pass",
        "renew: absent",
    ),
    Mutant(
        "the lock ends before the function",
        f"{CORE}.reconcile",
        "LOCK = timedelta(seconds=45)",
        "LOCK = timedelta(seconds=20)",
        "renew: absent",
    ),
    Mutant(
        "hints that come a little early are dropped",
        f"{CORE}.reconcile",
        "due - now > EARLY",
        "due > now",
        "lives",
    ),
    Mutant(
        "a refusal is not counted, nor told",
        f"{CORE}.reconcile",
        "            waiting = refused(state, step, trouble, now)\n",
        "            waiting = replace(state, next_due=now + POLL, intent=None)\n",
        "reconcile: config not seen",
    ),
    Mutant(
        "a step is taken without an intent or a history",
        f"{CORE}.reconcile",
        "        self.store.begin(\n",
        "        (lambda *_: None)(\n",
        "renew: absent",
    ),
    Mutant(
        "hints of a drain are dropped where nothing is due",
        f"{CORE}.reconcile",
        "_EVEN_IF_NOT_DUE = frozenset({Cause.EVENT, Cause.SWEEP})",
        "_EVEN_IF_NOT_DUE = frozenset({Cause.EVENT})",
        "drain",
    ),
    Mutant(
        "a claim lasts for an hour",
        f"{CORE}.reconcile",
        "CLAIM_GRACE = timedelta(seconds=30)",
        "CLAIM_GRACE = timedelta(hours=1)",
        "reconcile: delete",
    ),
    Mutant(
        "endpoints of others are taken for ours",
        f"{CORE}.reconcile",
        "return replace(seen, owner=self.endpoints.owner(seen.arn))",
        "return seen",
        "reconcile: adopt",
    ),
    Mutant(
        "a first lease is in hours",
        f"{CORE}.reconcile",
        "timedelta(minutes=minutes) if minutes",
        "timedelta(hours=minutes) if minutes",
        "sweep: without state",
    ),
    Mutant(
        "the drain is ignored",
        f"{CORE}.decision",
        "meter = meter_of(None if draining else spec, state)",
        "draining, meter = False, meter_of(spec, state)",
        "drain",
    ),
    Mutant(
        "nothing is armed while an endpoint runs",
        f"{CORE}.decision",
        '    assert spec is not None, "an endpoint without a spec is never wanted"\n'
        "    due = meter.next_transition(now)",
        '    assert spec is not None, "an endpoint without a spec is never wanted"\n    due = None',
        "renew: absent",
    ),
    Mutant(
        "nothing is armed while an endpoint is stopped",
        f"{CORE}.decision",
        "            meter.next_transition(now),\n            DRAINED",
        "            None,\n            DRAINED",
        "tick: two due",
    ),
    Mutant(
        "there is no backoff after a refusal",
        f"{CORE}.decision",
        "    if state.retry_at and state.retry_at > now:\n        due = _earlier",
        "    if False:\n        due = _earlier",
        "reconcile: failed",
    ),
    Mutant(
        "the backoff begins with a quarter of an hour",
        f"{CORE}.decision",
        "FIRST_BACKOFF = timedelta(seconds=15)",
        "FIRST_BACKOFF = timedelta(minutes=15)",
        "reconcile: failed",
    ),
    Mutant(
        "failures are counted for ever",
        f"{CORE}.decision",
        "    recovered = replace(state, attempts=0, retry_at=None, troubles={})",
        "    recovered = state",
        "reconcile: failed again after a while",
    ),
    Mutant(
        "a refused stop is tried again after ten minutes",
        f"{CORE}.decision",
        "return replace(state, next_due=now + timedelta(minutes=1), next_step=step)",
        "return replace(state, next_due=now + timedelta(minutes=10), next_step=step)",
        "reconcile: delete",
    ),
    Mutant(
        "what SageMaker did not say is asked again after ten minutes",
        f"{CORE}.decision",
        "soon = now + min(backoff(tries), timedelta(minutes=1))",
        "soon = now + timedelta(minutes=10)",
        "reconcile: create",
    ),
    Mutant(
        "a refused stop waits in the queue of starts",
        f"{CORE}.decision",
        "next_due=now + timedelta(minutes=1), next_step=step)",
        "next_due=now + timedelta(minutes=1))",
        "reconcile: stopped while created",
    ),
    Mutant(
        "a config that was set by hand outlives the next deploy",
        f"{CORE}.wanted_config",
        "return override if override and override.declaration == declaration(spec) else None",
        "return override",
        "sync: changed after an update by hand",
    ),
    Mutant(
        "an update whose begin was not heard is not ours",
        f"{CORE}.reconcile",
        'return replace(look_again, intent=Intent(step, decision.config_name or "", now))',
        "return look_again",
        "reconcile: update that is rolled back",
    ),
    Mutant(
        "scaling stays where it is during an update",
        f"{CORE}.reconcile",
        "self.endpoints.scale(name, ())",
        "pass",
        "reconcile: update of what is scaled",
    ),
    Mutant(
        "scaling does not come back after an update",
        f"{CORE}.decision",
        "restored=UNSURE if state.restored else None",
        "restored=state.restored",
        "reconcile: update by hand of what is scaled",
    ),
    Mutant(
        "a crash lets scaling be forgotten that an update has yet to put aside",
        f"{CORE}.decision",
        "restored=UNSURE if state.restored else None",
        "restored=None",
        "reconcile: update of what is scaled",
    ),
    Mutant(
        "nobody hears of weights that were rolled back",
        f"{CORE}.reconcile",
        "reweighing=replace(state.reweighing, begun=True),",
        "reweighing=None,",
        "reconcile: weights that are rolled back",
    ),
    Mutant(
        "weights that were rolled back are asked for again and again",
        f"{CORE}.decision",
        "state.reweighing is not None and not state.reweighing.begun",
        "state.reweighing is not None",
        "reconcile: weights rolled back",
    ),
    Mutant(
        "weights are given to a later endpoint of that name",
        f"{CORE}.decision",
        "if state.reweighing and state.reweighing.life != observed.created_at:",
        "if False:",
        "reconcile: weights for an earlier life",
    ),
    Mutant(
        "an update under way counts as settled",
        f"{CORE}.deploys",
        "if seen.config_name in allowed and not moving:",
        "if seen.config_name in allowed:",
        "settle: taken back while updated",
    ),
    Mutant(
        "a withdrawn entry's config is left running over the API's",
        f"{CORE}.deploys",
        "or _is_missed(r, now) or _serves_another(r)",
        "or _is_missed(r, now)",
        "sync: withdrawn from over the API's",
    ),
    Mutant(
        "a withdrawn entry's config is taken away while it is served",
        f"{CORE}.deploys",
        "return self.endpoints.config_owner(served) is Owner.US\n\n    def settle",
        "return False\n\n    def settle",
        "settle: withdrawn from over the API's",
    ),
    Mutant(
        "what was set by hand may be taken away",
        f"{CORE}.deploys",
        "if self.endpoints.config_owner(served) is not Owner.US:",
        "if True:",
        "settle: set to an old config by hand",
    ),
    Mutant(
        "an old config that is served may be taken away",
        f"{CORE}.deploys",
        "if not verdict.settled:",
        "if False:",
        "settle: rolled back",
    ),
    Mutant(
        "a rolled-back update is tried again and again",
        f"{CORE}.in_the_way",
        "    if is_rolled_back(spec, state, config):\n",
        "    if False:\n",
        "reconcile: rolled back",
    ),
    Mutant(
        "the hold is forgotten",
        f"{CORE}.meter",
        "return self.held_since is not None and window.contains(self.held_since)",
        "return False",
        "stop: in a window",
    ),
    Mutant(
        "a stop does not hold the open window",
        f"{CORE}.expiry",
        "held_since=now if hold else state.held_since",
        "held_since=state.held_since",
        "stop: in a window",
    ),
    Mutant(
        "a stop leaves the lease",
        f"{CORE}.expiry",
        "                expires_at = cut\n",
        "                pass\n",
        "stop: leased",
    ),
    Mutant(
        "windows that cross midnight end a day late",
        f"{CORE}.schedule",
        "stop_day = day if self.stop_time > self.start_time else day + _ONE_DAY",
        "stop_day = day if self.stop_time > self.start_time else day + 2 * _ONE_DAY",
        "tick: windows",
    ),
    Mutant(
        "a window that began yesterday is not open",
        f"{CORE}.schedule",
        "days = _days_from(_local_date(self.timezone, instant) - back)",
        "days = _days_from(_local_date(self.timezone, instant))",
        "tick: windows",
    ),
    Mutant(
        "windows begin on days that are left out",
        f"{CORE}.schedule",
        "return named and day not in self.except_dates",
        "return named",
        "tick: windows",
    ),
    Mutant(
        "an ambiguous hour is taken the second time",
        f"{CORE}.schedule",
        "        return naive - offset\n",
        "        return naive - other\n",
        "tick: windows",
    ),
    Mutant(
        "a schedule goes by UTC",
        f"{CORE}.schedule",
        "    zone = _zone(timezone)\n    local = datetime.combine(day, at, zone)",
        '    zone = _zone("UTC")\n    local = datetime.combine(day, at, zone)',
        "tick: windows",
    ),
    Mutant(
        "the tick sends no hints",
        f"{CORE}.tick",
        "    hints.send(hint_at(",
        "    list(hint_at(",
        "tick: two due",
    ),
    Mutant(
        "the tick arms nothing ahead of its time",
        f"{CORE}.tick",
        "store.due(now + ARM_AHEAD, now)",
        "store.due(now, now)",
        "tick: two due",
    ),
    Mutant(
        "the tick claims nothing",
        f"{CORE}.tick",
        "store.claim({due: max(at, now) + CLAIM for due, at in arrivals.items()})",
        "pass",
        "tick: two due",
    ),
    Mutant(
        "a tick's claim lasts for an hour",
        f"{CORE}.tick",
        "CLAIM = timedelta(seconds=60)",
        "CLAIM = timedelta(hours=1)",
        "tick: hints were lost",
    ),
    Mutant(
        "the sweep finds nothing amiss",
        f"{CORE}.sweep",
        "self._make_due(likely, now)",
        "self._make_due([], now)",
        "sweep: gone by hand",
    ),
    Mutant(
        "the sweep only hints at what it finds",
        f"{CORE}.sweep",
        "self.store.touch(record.key, now, step)",
        "pass",
        "tick: hints of a sweep were lost",
    ),
    Mutant(
        "the sweep leaves endpoints without a state alone",
        f"{CORE}.sweep",
        "return record if record.state else load_or_create(self.store, record.key, now)",
        "return record",
        "sweep: without state",
    ),
    Mutant(
        "a deploy does not end the drain",
        f"{CORE}.deploys",
        "        self.store.set_drain(None)\n        self._pin_table()",
        "        self._pin_table()",
        "sync: after a drain",
    ),
    Mutant(
        "a drain does not wait until all is gone",
        f"{CORE}.deploys",
        "if not (left := self._still_there(now, owners)):",
        "if not (left := ()):",
        "drain",
    ),
    Mutant(
        "a deploy leaves withdrawn endpoints alone",
        f"{CORE}.deploys",
        "if r.api_spec is None or _is_missed(r, now)",
        "if _is_missed(r, now)",
        "sync: withdrawn",
    ),
)
