"""Deliberate bugs with which the meter touches endpoints of others, or lets people do what they may
not do. See `mutants`."""

from __future__ import annotations

from tests.simulation.mutants import AWS, CORE, Mutant

TAKEOVER_MUTANTS = (
    Mutant(
        "an adoption is of whatever bears the name by now",
        f"{CORE}.decision",
        "same = adoption.is_of(observed) and observed.status is not",
        "same = observed.status is not",
        "reconcile: adopt what was replaced",
    ),
    Mutant(
        "a void adoption leaves its lease",
        f"{CORE}.takeover",
        "ends = None if adoption.declared else state.expires_at",
        "ends = state.expires_at",
        "reconcile: adopt what is gone",
    ),
    Mutant(
        "a void adoption leaves its spec",
        f"{AWS}.state_store",
        "parts += self._forgotten(key, forgetting)",
        "pass",
        "reconcile: adopt what is gone",
    ),
    Mutant(
        "the places of added endpoints are endless",
        f"{AWS}.state_store",
        "attribute_not_exists({endpoints}) OR size({endpoints}) < :m",
        "attribute_not_exists({nothing}) OR size({endpoints}) < :m",
        "add: the last place against an add of another",
    ),
    Mutant(
        "forgetting gives no place back",
        f"{AWS}.state_store",
        'take_out("endpoints", frozenset({key}))',
        'take_out("endpoints", frozenset({"nobody"}))',
        "forget: running",
    ),
    Mutant(
        "tags are not read anew before a change",
        f"{CORE}.reconcile",
        "if decision.step in _ON_OURS:",
        "if decision.step is None:",
        "reconcile: delete what its owner may want",
    ),
    Mutant(
        "the tag that asks to be ignored is not seen",
        f"{AWS}.sagemaker",
        "if IGNORE_TAG_KEY in values:",
        "if not values and IGNORE_TAG_KEY:",
        "adopt: theirs against its owner's wish to have it ignored",
    ),
    Mutant(
        "what another stack has is taken for nobody's",
        f"{AWS}.sagemaker",
        "return Owner.ANOTHER_STACK",
        "return Owner.NOBODY",
        "adopt: refused, of another stack",
    ),
    Mutant(
        "what was adopted is called an orphan",
        f"{CORE}.sweep",
        "if owner is Owner.US:",
        "if owner.ours:",
        "sweep: strangers",
    ),
    Mutant(
        "who may renew may adopt",
        f"{CORE}.takeover",
        'if not request.scopes.allows("manage", self.name):',
        'if not request.scopes.allows("renew", self.name):',
        "adopt: refused, may only renew and add",
    ),
    Mutant(
        "who may renew may forget",
        f"{CORE}.expiry",
        'request.require("add" if forget else "renew", name)',
        'request.require("renew", name)',
        "forget: refused, may only renew",
    ),
    Mutant(
        "what the config does not let be adopted is adopted",
        f"{CORE}.takeover",
        "if not adoptable.allows(self.name):",
        "if not adoptable:",
        "adopt: refused, not to be adopted",
    ),
    Mutant(
        "a first lease may be as long as anybody likes",
        f"{CORE}.takeover",
        "room = max_lease_minutes - minutes",
        "room = 9 * max_lease_minutes - minutes",
        "adopt: refused, too long a lease",
    ),
    Mutant(
        "an endpoint is adopted whatever it runs",
        f"{CORE}.takeover",
        "if not self.adopt or not fits or live.status",
        "if not self.adopt or live.status",
        "adopt: refused, another config than it runs",
    ),
    Mutant(
        "a spec that cannot be read counts as one without windows",
        f"{CORE}.decision",
        "if spec is not None and spec.unreadable and (wanted or undecided(spec, state, now)):",
        "if spec is not None and spec.unreadable and wanted:",
        "reconcile: spec with a new kind of window",
    ),
    Mutant(
        "attributes of a spec that are not known are passed over",
        f"{AWS}.items",
        "unknown = sorted(item.keys() - _SPEC_ATTRIBUTES)",
        "unknown = sorted(item.keys() - item.keys())",
        "reconcile: spec with a new attribute",
    ),
    Mutant(
        "a restored table starts endpoints",
        f"{CORE}.decision",
        "_NOT_WHEN_RESTORED = ACTIONS | {Step.VOID}",
        "_NOT_WHEN_RESTORED = (ACTIONS | {Step.VOID}) - {Step.CREATE}",
        "reconcile: wanted by a restored table",
    ),
    Mutant(
        "a restored table adopts",
        f"{CORE}.decision",
        "_NOT_WHEN_RESTORED = ACTIONS | {Step.VOID}",
        "_NOT_WHEN_RESTORED = ACTIONS - {Step.ADOPT}",
        "reconcile: adopt by a restored table",
    ),
    Mutant(
        "new windows undo what was set by hand",
        f"{CORE}.wanted_config",
        "return digest([*spec.configs(), dict(spec.update)])",
        "return spec.spec_hash",
        "update: running",
    ),
    Mutant(
        "a repeated stop stops again",
        f"{AWS}.state_store",
        "            _record_operation(update, keyed)\n            _record_end(update, keyed)\n"
        "        if forgetting is None:",
        "            pass\n        if forgetting is None:",
        "stop: again with its key",
    ),
    Mutant(
        "our tag stays on an endpoint that was made after the adoption",
        f"{CORE}.reconcile",
        "if observed.owner is Owner.ADOPTED:",
        "if observed.owner is None:",
        "reconcile: the tag reached a later endpoint",
    ),
    Mutant(
        "hundreds of answers are kept beside the lease",
        f"{CORE}.idempotency",
        "_MAX_OPERATIONS = 48",
        "_MAX_OPERATIONS = 200",
        "update: after many with keys",
    ),
)
