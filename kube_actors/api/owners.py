"""Owner references: who made an object, and who manages it.

Owns building and reading them. It never follows one: whether an owner still exists is the garbage collector's
question.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from kube_actors.api.types.meta_v1 import ObjectMeta, OwnerReference


class Owner(Protocol):
    """Any object: a struct of a kind, or a Dynamic."""

    @property
    def api_version(self) -> str: ...

    @property
    def kind(self) -> str: ...

    @property
    def metadata(self) -> ObjectMeta: ...


class Owned(Protocol):
    @property
    def metadata(self) -> ObjectMeta: ...


def owner_reference(owner: Owner, *, controller: bool = False, block_deletion: bool | None = None) -> OwnerReference:
    """A reference to an owner that exists (it has a uid). A controller blocks its owner's deletion by default."""
    blocks = controller if block_deletion is None else block_deletion
    return OwnerReference(
        api_version=owner.api_version,
        kind=owner.kind,
        name=owner.metadata.name,
        uid=owner.metadata.uid,
        controller=True if controller else None,
        block_owner_deletion=True if blocks else None,
    )


def controller_reference(owner: Owner) -> OwnerReference:
    """The reference that makes `owner` the one manager of an object."""
    return owner_reference(owner, controller=True)


def controller_of(owned: Owned) -> OwnerReference | None:
    """The reference to the managing owner, or None."""
    for reference in owned.metadata.owner_references:
        if reference.controller:
            return reference
    return None


def is_controlled_by(owned: Owned, owner: Owned) -> bool:
    """Whether `owner`, this very one, manages the object."""
    reference = controller_of(owned)
    return reference is not None and reference.uid == owner.metadata.uid


def is_owned_by(owned: Owned, uid: str) -> bool:
    return any(reference.uid == uid for reference in owned.metadata.owner_references)


def with_owner(references: Iterable[OwnerReference], added: OwnerReference) -> tuple[OwnerReference, ...]:
    """The references with `added` in place of one to the same owner, or at the end."""
    kept = tuple(references)
    if any(reference.uid == added.uid for reference in kept):
        return tuple(added if reference.uid == added.uid else reference for reference in kept)
    return (*kept, added)


def without_owner(references: Iterable[OwnerReference], uid: str) -> tuple[OwnerReference, ...]:
    return tuple(reference for reference in references if reference.uid != uid)


def group_of(reference: OwnerReference) -> str:
    """The API group of the owner: "apps" for apps/v1."""
    return reference.api_version.rpartition("/")[0]
