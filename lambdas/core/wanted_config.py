"""Which endpoint config should run, and under which options a running endpoint moves to it.

A config set by hand overrides what is declared until that changes: the next deploy of the entry
wins. Else the spec's runs, or the fallback that a shortage of capacity led to.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from lambdas.core.meter import Meter
from lambdas.core.rollout import UpdatePolicy
from lambdas.core.spec import Origin, Spec, digest
from lambdas.core.state import Observed, Override, Rollback, State

MISSING_AFTER = 5
"""So many refusals in a row (four minutes) are no lag of SageMaker's own any more."""


def declaration(spec: Spec) -> str:
    """Changes whenever a deploy changes what the entry runs or how it is updated, and not with its
    schedules, leases or scaling: a new holiday must not undo what was set by hand. What was added
    over the API stays the same declaration while it is on the meter."""
    if spec.origin is Origin.API:
        return f"api:{spec.endpoint_config_name}"
    return digest([*spec.configs(), dict(spec.update)])


def override_in_force(spec: Spec, state: State) -> Override | None:
    override = state.override
    return override if override and override.declaration == declaration(spec) else None


def chosen_config(spec: Spec, state: State) -> str:
    """The config set by hand, else the declared one: what people mean to run."""
    override = override_in_force(spec, state)
    return override.config_name if override else spec.endpoint_config_name


def wanted_config(spec: Spec, state: State) -> str:
    """The config that should run: a fallback only while the spec still lists it."""
    chosen = chosen_config(spec, state)
    fallback = state.fallback_config
    return fallback if fallback in spec.fallback_configs and chosen in spec.configs() else chosen


def fitting_configs(spec: Spec, state: State) -> tuple[str, ...]:
    """The configs that the endpoint may serve without anything being amiss."""
    return (*spec.configs(), chosen_config(spec, state))


def next_fallback(spec: Spec, state: State, tried: str | None) -> str | None:
    """The config to start after one that found no capacity; None: the first choice again."""
    configs = spec.configs()
    if chosen_config(spec, state) not in configs:
        return None
    after = configs.index(tried) + 1 if tried in configs else 1
    return configs[after] if after < len(configs) else None


def update_policy(spec: Spec, state: State) -> UpdatePolicy:
    override = override_in_force(spec, state)
    return UpdatePolicy(override.options if override else spec.update)


def rollback_mark(spec: Spec, config_name: str) -> str:
    """Names a declaration and a config that it led to: what rolled back once is not tried again
    by itself."""
    return f"{declaration(spec)}:{config_name}"


def after_rollback(spec: Spec, state: State, served: str | None) -> State:
    """The state after an update that was rolled back: one by hand is over with that, and what
    is `served` goes on, also at the next start."""
    override = override_in_force(spec, state)
    if override is None or served is None or state.updating is None:
        return state
    if override.config_name != state.updating.config_name:
        return state
    if served in spec.configs():
        fallback = served if served in spec.fallback_configs else None
        return replace(state, override=None, fallback_config=fallback)
    return replace(state, override=replace(override, config_name=served, options={}))


def without_missing(spec: Spec, state: State) -> State:
    """The state after SageMaker could not find an endpoint config: one set by hand that is still
    missing after some minutes was deleted, and what is declared runs again."""
    gone = override_in_force(spec, state) and state.attempts >= MISSING_AFTER
    return replace(state, override=None) if gone else state


def rolled_back(spec: Spec, state: State) -> str | None:
    """What to say of the last update where it was rolled back; None where it was not."""
    last = state.rolled_back
    current = last is not None and last.mark.startswith(f"{declaration(spec)}:")
    return rollback_reason(last) if last and current else None


def is_rolled_back(spec: Spec, state: State, config_name: str) -> bool:
    """Whether the last update that was rolled back was this one."""
    return state.rolled_back is not None and state.rolled_back.mark == rollback_mark(
        spec, config_name
    )


def rollback_reason(rollback: Rollback) -> str:
    config = rollback.mark.rpartition(":")[2]
    why = rollback.reason or "SageMaker gave no reason"
    return f"the update to {config} was rolled back: {why}"


def weights_undone(state: State) -> str | None:
    """What to say of weights set by hand that SageMaker rolled back; None where it did not."""
    asked = state.reweighing
    if asked is None or asked.undone is None:
        return None
    return f"the weights and capacities set by hand were rolled back: {asked.undone}"


def outlasts(spec: Spec, state: State, observed: Observed, meter: Meter, now: datetime) -> bool:
    """Whether an update that begins now might take longer than the endpoint is wanted."""
    end = meter.wanted_until(now)
    longest = update_policy(spec, state).longest(observed.last_deployment)
    return end is not None and now + longest > end


def postponed(config_name: str) -> str:
    """What to say of an update that would outlast the endpoint."""
    return (
        f"the update to {config_name} may take longer than the endpoint is wanted: it is applied "
        "at the next start, or once there is time enough"
    )
