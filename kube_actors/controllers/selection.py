"""Who selects whom: the owners whose selector matches an orphan, and the orphans that an owner's selector matches.

Both ways go through indexes, by one label that a selector asks for, so that neither grows with what is unrelated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from kube_actors.api.selectors import DOUBLE_EQUALS, EQUALS, IN, Selector

from .contract import OWNER_INDEX, Caches, orphans_of

T = TypeVar("T")

SELECTOR_INDEX = "selector"
"""Owners by a label that their selector asks for; those whose selector asks for none by the namespace alone."""

SelectorOf = Callable[[Any], Selector]


def pair(selector: Selector) -> str:
    """One label that everything selected has, as key=value; "" when there is no such."""
    for requirement in selector.requirements:
        if requirement.operator in (EQUALS, DOUBLE_EQUALS, IN) and len(requirement.values) == 1:
            return f"{requirement.key}={requirement.values[0]}"
    return ""


def by_selector(selector_of: SelectorOf) -> tuple[str, Callable[[Any], Iterable[str]]]:
    """The index of owners, for their Source."""

    def index(owner: Any) -> tuple[str, ...]:
        selector = selector_of(owner)
        return () if selector.nothing else (f"{owner.metadata.namespace}/{pair(selector)}",)

    return SELECTOR_INDEX, index


def selecting(caches: Caches, kind: type[T], selector_of: SelectorOf, obj: Any) -> list[T]:
    """The owners of a kind that select an object."""
    metadata = obj.metadata
    labels = metadata.labels
    if not labels:
        return []
    values = [f"{metadata.namespace}/", *(f"{metadata.namespace}/{key}={value}" for key, value in labels.items())]
    return [
        owner
        for value in values
        for owner in caches.by_index(kind, SELECTOR_INDEX, value)
        if selector_of(owner).matches(labels)
    ]


def keys_selecting(caches: Caches, kind: type[Any], selector_of: SelectorOf, obj: Any) -> list[str]:
    """Their keys."""
    owners = selecting(caches, kind, selector_of, obj)
    return [f"{owner.metadata.namespace}/{owner.metadata.name}" for owner in owners]


def selected_orphans(caches: Caches, kind: type[T], namespace: str, selector: Selector) -> list[T]:
    """The objects without a controller that a selector matches; their kind is indexed by owner."""
    if selector.nothing:
        return []
    label = pair(selector)
    value = f"{orphans_of(namespace)}/{label}" if label else orphans_of(namespace)
    found: Sequence[Any] = caches.by_index(kind, OWNER_INDEX, value)
    return [orphan for orphan in found if selector.matches(orphan.metadata.labels)]
