"""The endpoint config that should run, and the options for the update of a running endpoint.

A config set by hand overrides the declared one until a deploy changes the entry. Without an
override the config of the spec runs, or a fallback after a shortage of capacity.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from lambdas.core.meter import Meter
from lambdas.core.rollout import UpdatePolicy
from lambdas.core.spec import Origin, OutsideUpdates, Spec, digest
from lambdas.core.state import Override, Rollback, State

MISSING_AFTER = 5
"""After so many refusals in a row (four minutes) the config is really missing: it is no lag of
SageMaker."""


def declaration(spec: Spec) -> str:
    """A text that changes if a deploy changes the configs or the update options of the entry. It
    does not depend on schedules, leases or scaling: a new holiday must not undo what was set by
    hand. For an endpoint added over the API it stays the same."""
    if spec.origin is Origin.API:
        return f"api:{spec.endpoint_config_name}"
    return digest([*spec.configs(), dict(spec.update)])


def override_in_force(spec: Spec, state: State) -> Override | None:
    override = state.override
    return override if override and override.declaration == declaration(spec) else None


def chosen_config(spec: Spec, state: State) -> str:
    """The config that people chose: the one set by hand, else the declared one."""
    override = override_in_force(spec, state)
    return override.config_name if override else spec.endpoint_config_name


def wanted_config(spec: Spec, state: State) -> str:
    """The config that should run. A fallback counts only while the spec lists it."""
    chosen = chosen_config(spec, state)
    fallback = state.fallback_config
    return fallback if fallback in spec.fallback_configs and chosen in spec.configs() else chosen


def fitting_configs(spec: Spec, state: State) -> tuple[str, ...]:
    """The configs that the endpoint may serve."""
    return (*spec.configs(), chosen_config(spec, state))


def with_served(spec: Spec, before: State, seen: State, served: str | None) -> State:
    """The state after a look at an endpoint of ours that is in service with this config.

    If nobody asked the meter for the config, somebody outside set it. Then `asked_config` stays as
    it was, and with `outside_updates` "keep" the config becomes an override.
    """
    intended = before.intent.config_name if before.intent else None
    updating = before.updating.config_name if before.updating else None
    chosen, declared = chosen_config(spec, before), spec.configs()
    in_force = declared if chosen in declared else (chosen,)  # an override takes their place
    asked = {before.asked_config, intended, updating, *in_force}
    if before.asked_config is None or served in asked:
        return replace(seen, asked_config=served)
    if spec.outside_updates is OutsideUpdates.REVERT or served == before.observed_config:
        return seen
    kept = Override(served or "", {}, declaration(spec))
    weights = seen.reweighing if seen.reweighing and not seen.reweighing.begun else None
    return replace(seen, override=kept, fallback_config=None, rolled_back=None, reweighing=weights)


def set_outside(state: State) -> str | None:
    """The config that the endpoint serves, if nobody asked the meter for it. Else None."""
    asked, served = state.asked_config, state.observed_config
    return served if asked is not None and served != asked else None


def next_fallback(spec: Spec, state: State, tried: str | None) -> str | None:
    """The config to start after `tried` found no capacity. None: the first one again."""
    configs = spec.configs()
    if chosen_config(spec, state) not in configs:
        return None
    after = configs.index(tried) + 1 if tried in configs else 1
    return configs[after] if after < len(configs) else None


def update_policy(spec: Spec, state: State) -> UpdatePolicy:
    override = override_in_force(spec, state)
    return UpdatePolicy(override.options if override else spec.update)


def longest_update(spec: Spec, state: State) -> timedelta:
    """How long an update may take that begins now, as far as it was seen."""
    return update_policy(spec, state).longest(timedelta(seconds=state.retained_seconds or 0))


def rollback_mark(spec: Spec, config_name: str) -> str:
    """Identifies an update by its declaration and its config. An update that was rolled back is not
    tried again automatically."""
    return f"{declaration(spec)}:{config_name}"


def after_rollback(spec: Spec, state: State, served: str | None) -> State:
    """The state after an update was rolled back. If it was set by hand, the `served` config stays,
    also at the next start."""
    override = override_in_force(spec, state)
    if override is None or served is None or state.updating is None:
        return state
    if override.config_name != state.updating.config_name:
        return state
    if served in spec.configs():
        fallback = served if served in spec.fallback_configs else None
        return replace(state, override=None, fallback_config=fallback)
    return replace(state, override=replace(override, config_name=served, options={}))


def without_missing(spec: Spec, state: State, times: int) -> State:
    """The state after SageMaker could not find an endpoint config so many `times` in a row. If a
    config set by hand is missing for some minutes, it was deleted, and the declared one runs
    again."""
    gone = override_in_force(spec, state) and times >= MISSING_AFTER
    return replace(state, override=None) if gone else state


def rolled_back(spec: Spec, state: State) -> str | None:
    """The reason for people, if the last update was rolled back. None if it was not."""
    last = state.rolled_back
    current = last is not None and last.mark.startswith(f"{declaration(spec)}:")
    return rollback_reason(last) if last and current else None


def is_rolled_back(spec: Spec, state: State, config_name: str) -> bool:
    """Whether the update to this config is the last one that was rolled back."""
    return state.rolled_back is not None and state.rolled_back.mark == rollback_mark(
        spec, config_name
    )


def rollback_reason(rollback: Rollback) -> str:
    config = rollback.mark.rpartition(":")[2]
    why = rollback.reason or "SageMaker gave no reason"
    return f"the update to {config} was rolled back: {why}"


def weights_undone(state: State) -> str | None:
    """The reason for people, if SageMaker rolled back weights set by hand. None if it did not."""
    reweighing = state.reweighing
    if reweighing is None or reweighing.undone is None:
        return None
    return f"the weights and capacities set by hand were rolled back: {reweighing.undone}"


def outlasts(longest: timedelta, meter: Meter, now: datetime) -> bool:
    """Whether an update that begins now, and takes `longest` at most, may take longer than the
    endpoint is wanted."""
    end = meter.wanted_until(now)
    return end is not None and now + longest > end


def postponed(config_name: str) -> str:
    """The reason for people, if an update may take longer than the endpoint is wanted."""
    return (
        f"the update to {config_name} may take longer than the endpoint is wanted: it is applied "
        "at the next start, or once there is time enough"
    )
