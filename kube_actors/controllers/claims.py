"""Who manages what: adopting what a selector matches and nobody manages, releasing what it no longer matches.

Pure. It decides and writes the patches; whether the would-be owner still stands is confirmed before any adoption.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

from msgspec import Struct

from kube_actors.api import codec
from kube_actors.api.owners import Owner, controller_of, controller_reference
from kube_actors.api.selectors import Selector

from .contract import Action, Confirm, Patch

T = TypeVar("T")


class Claim(Struct, Generic[T], frozen=True):
    """What is an owner's (adoptions counted in), and what has to be written first to make it so."""

    owned: tuple[T, ...]
    actions: tuple[Action, ...]


def claim(
    owner: Owner,
    selector: Selector,
    candidates: Iterable[T],
    belongs: Callable[[T], bool] | None = None,
    finalizers: tuple[str, ...] = (),
) -> Claim[T]:
    """Sort out candidates of one kind in the owner's namespace; belongs may ask for more than the selector does.

    Finalizers come with an adoption and go with a release.
    """
    owned: list[T] = []
    adopt: list[Any] = []
    release: list[Any] = []
    leaving = owner.metadata.deletion_timestamp is not None
    for candidate in candidates:
        metadata = candidate.metadata  # type: ignore[attr-defined]
        reference = controller_of(candidate)  # type: ignore[arg-type]
        matches = selector.matches(metadata.labels) and (belongs is None or belongs(candidate))
        if reference is not None:
            if reference.uid != owner.metadata.uid:
                continue
            if matches:
                owned.append(candidate)
            elif not leaving:
                release.append(candidate)
        elif matches and not leaving and metadata.deletion_timestamp is None:
            owned.append(candidate)
            adopt.append(candidate)
    actions: list[Action] = []
    if adopt:
        metadata = owner.metadata
        actions.append(Confirm(kind=type(owner), key=f"{metadata.namespace}/{metadata.name}", uid=metadata.uid))
    actions += [_adoption(owner, orphan, finalizers) for orphan in adopt]
    actions += [_release(owner, stray, finalizers) for stray in release]
    return Claim(tuple(owned), tuple(actions))


def _adoption(owner: Owner, orphan: Any, finalizers: tuple[str, ...]) -> Patch:
    metadata = {"ownerReferences": [codec.to_dict(controller_reference(owner))], "uid": orphan.metadata.uid}
    if finalizers:
        metadata["finalizers"] = list(finalizers)
    return _patch(orphan, {"metadata": metadata})


def _release(owner: Owner, stray: Any, finalizers: tuple[str, ...]) -> Patch:
    directive = {"$patch": "delete", "uid": owner.metadata.uid}
    metadata = {"ownerReferences": [directive], "uid": stray.metadata.uid}
    if finalizers:
        metadata["$deleteFromPrimitiveList/finalizers"] = list(finalizers)
    return _patch(stray, {"metadata": metadata})


def _patch(obj: Any, body: dict[str, Any]) -> Patch:
    key = f"{obj.metadata.namespace}/{obj.metadata.name}"
    return Patch(kind=type(obj), key=key, body=body, patch_type="strategic", tolerate=("NotFound",))
