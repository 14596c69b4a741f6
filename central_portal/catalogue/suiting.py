"""Pure: which of a facility's environments suit a dataset."""

from __future__ import annotations

from collections.abc import Iterable

from shared.catalogue import Dataset
from shared.facilities import Environment
from shared.techniques import narrower


def is_meant(environment: Environment) -> bool:
    """Whether its facility says for which datasets it is meant; else it is for all."""
    return bool(environment.techniques or environment.definitions)


def suits(environment: Environment, dataset: Dataset) -> bool:
    """Whether one of the dataset's techniques is one that it is meant for, or narrower, or its definition is; case aside."""
    if not is_meant(environment):
        return True
    if dataset.definition.casefold() in {said.casefold() for said in environment.definitions}:
        return True
    return any(not narrower(term).isdisjoint(dataset.techniques) for term in environment.techniques)


def suiting(environments: Iterable[Environment], dataset: Dataset) -> list[Environment]:
    """Those that suit it: first those that are meant for it, then those for all, each as the facility orders them."""
    found = [environment for environment in environments if suits(environment, dataset)]
    return sorted(found, key=lambda environment: not is_meant(environment))
