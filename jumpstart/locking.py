"""Makes the lock: the models that the configs ask for, resolved with the hub, and the previous
content of the lock."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from constructs_lib.canonical import digest
from constructs_lib.config.document import DeployConfig
from constructs_lib.config.lock_document import FORMAT
from constructs_lib.config.problems import Problem
from constructs_lib.models_lock import (
    ModelsLock,
    RequestedModel,
    id_too_long,
    requested_models,
)
from jumpstart.hub import DocumentUnreadable, Hub, ModelMissing, Published, VersionMissing
from jumpstart.hub_document import (
    Hosting,
    Unhostable,
    default_instance_type,
    resolve,
    subscription_link,
    supported_instance_types,
    web_address,
)

LOOK_UP = (
    "`aws sagemaker list-hub-contents --hub-name SageMakerPublicHub --hub-content-type Model` "
    "lists the existing models"
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A config, and the region to lock it for."""

    source: str
    config: DeployConfig
    region: str


@dataclass(slots=True)
class Outcome:
    """The new lock, and its problems by config."""

    lock: dict[str, Any]
    problems: dict[str, list[Problem]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def make(
    wanted: Sequence[Wanted],
    hub_of: Callable[[str], Hub],
    before: Mapping[str, Any],
    *,
    prune: bool = False,
) -> Outcome:
    """Lock the models of the configs. `before` is the previous lock (empty if there is none). It
    keeps its other models, versions, types and regions, unless `prune`. Raises HubUnreachable."""
    kept = {} if prune or before.get("format") != FORMAT else before["regions"]
    outcome = Outcome({"format": FORMAT, "regions": dict(kept)})
    for region in dict.fromkeys(each.region for each in wanted):
        here = [each for each in wanted if each.region == region]
        locking = _Region(region, hub_of(region), kept.get(region, {}))
        for each in here:
            for model in requested_models(each.config):
                outcome.problems.setdefault(each.source, []).extend(locking.add(model))
        outcome.lock["regions"][region] = locking.models()
        outcome.notes += locking.notes
        lock = ModelsLock.of(outcome.lock, "the new lock", region)
        for each in here:
            found = outcome.problems.setdefault(each.source, [])
            found += _more_problems(lock, each.config, found)
            if not found:
                outcome.notes += lock.notes(each.config)
    outcome.problems = {source: found for source, found in outcome.problems.items() if found}
    return outcome


def _more_problems(
    lock: ModelsLock, config: DeployConfig, known: Sequence[Problem]
) -> list[Problem]:
    """The problems that synth would report, without the known ones."""
    paths = {problem.path for problem in known}
    return [
        problem
        for model in requested_models(config)
        if not paths & {f"{model.where}.model_id", f"{model.where}.model_version"}
        for problem in lock.problems(model)
        if problem.path not in paths
    ]


class _Region:
    """The lock of one region while it is made."""

    def __init__(self, region: str, hub: Hub, before: Mapping[str, Any]) -> None:
        self._region = region
        self._hub = hub
        self._before = before
        self._published: dict[tuple[str, str | None], Published | Problem] = {}
        self._kinds: dict[tuple[str, str], dict[str, None]] = {}
        self._latest: dict[str, str] = {}
        self.notes: list[str] = []

    def add(self, model: RequestedModel) -> Iterator[Problem]:
        """Look up the model and yield its problems."""
        published = id_too_long(model) or self._look_up(model)
        if isinstance(published, Problem):
            yield published
            return
        if model.version is None:
            self._latest[model.model_id] = published.version
        kinds = self._kinds.setdefault((model.model_id, published.version), {})
        for path, kind in model.instance_types.items():
            try:
                resolve(published.document, kind)
            except Unhostable as error:
                yield Problem(path, f"{model.model_id} {published.version}: {error}")
            else:
                kinds[kind] = None

    def models(self) -> dict[str, Any]:
        """The region's part of the lock."""
        models = {name: dict(model) for name, model in self._before.items()}
        for name, version in self._kinds:
            before = models.get(name, {"versions": {}})
            models[name] = {
                "versions": {**before["versions"], version: self._version(name, version)},
                **_without_none(latest=self._latest.get(name, before.get("latest"))),
            }
        return models

    def _look_up(self, model: RequestedModel) -> Published | Problem:
        key = (model.model_id, model.version)
        if key not in self._published:
            self._published[key] = self._described(model)
        found = self._published[key]
        if isinstance(found, Problem):  # the same problem at another entry
            return Problem(f"{model.where}.{found.path.rpartition('.')[2]}", found.sentence)
        self._published[(model.model_id, found.version)] = found
        return found

    def _described(self, model: RequestedModel) -> Published | Problem:
        at = f"{model.where}.{'model_version' if model.version else 'model_id'}"
        try:
            found = self._hub.describe(model.model_id, model.version)
        except ModelMissing as error:
            near = f"like it there are: {', '.join(error.near)}" if error.near else LOOK_UP
            sentence = f"JumpStart has no model '{model.model_id}' in {self._region}; {near}"
            return Problem(f"{model.where}.model_id", sentence)
        except VersionMissing as error:
            versions = ", ".join(error.versions)
            sentence = f"{model.model_id} has no version {model.version}; there are: {versions}"
            return Problem(at, sentence)
        except DocumentUnreadable as error:
            return Problem(at, f"{model.model_id}: {error}")
        if found.support == "Deprecated":
            return Problem(at, self._deprecated(model.model_id, found.version))
        if found.status != "Available":
            sentence = f"{model.model_id} {found.version} is {found.status} in the hub; try later"
            return Problem(at, sentence)
        if found.support == "Restricted":
            note = f"{model.model_id} {found.version} is restricted: not every account may host it."
            self.notes.append(note)
        return found

    def _deprecated(self, model_id: str, version: str) -> str:
        good = [
            each.version for each in self._hub.versions(model_id) if each.support != "Deprecated"
        ]
        instead = f"choose one of {', '.join(good)}" if good else "choose another model"
        return f"{model_id} {version} is deprecated by its publisher; {instead}"

    def _version(self, name: str, version: str) -> dict[str, Any]:
        found = self._published[(name, version)]
        assert isinstance(found, Published)
        document = found.document
        supported = supported_instance_types(document)
        before = self._before.get(name, {}).get("versions", {}).values()
        kinds = [
            *supported,
            *self._kinds[(name, version)],
            *(kind for locked in before for kind in locked["instance_types"]),
        ]
        return {
            "document_sha256": digest(document),
            "supported_instance_types": supported,
            "instance_types": dict(self._hostings(document, kinds)),
            **_without_none(
                default_instance_type=default_instance_type(document),
                subscription_link=subscription_link(document),
            ),
        }

    def _hostings(
        self, document: Mapping[str, Any], kinds: Sequence[str]
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """The instance types that can be resolved. `add` has reported the others."""
        for kind in kinds:
            try:
                yield kind, _locked(resolve(document, kind), self._region)
            except Unhostable:
                continue


def _locked(hosting: Hosting, region: str) -> dict[str, Any]:
    fields = asdict(hosting)
    eula = fields.pop("eula")
    if hosting.model_package:
        del fields["environment"]
    if not hosting.additional_sources:
        del fields["additional_sources"]
    return _without_none(**fields, licence=eula and web_address(eula, region))


def _without_none(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
