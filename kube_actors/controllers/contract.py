"""What a controller is: which changes concern which key, what it sees of a key, and what it plans to do about it.

A controller is pure: `observe` reads caches, `plan` turns what was observed into actions, and both are ordinary
functions of their arguments. Nothing here performs an action, waits, or reads a clock: that is the runner's part.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, TypeVar

from msgspec import Struct

from kube_actors.api.errors import ApiError
from kube_actors.api.owners import controller_of

if TYPE_CHECKING:
    from kube_actors.client import Client

T = TypeVar("T")
O = TypeVar("O")

OWNER_INDEX = "owner"
"""Objects by the uid of their controller, those without one by `orphans_of(namespace)`."""


class Caches(Protocol):
    """The shared caches, as a controller may read them."""

    def get(self, kind: type[T], key: str) -> T | None: ...

    def list(self, kind: type[T], namespace: str = "") -> Sequence[T]: ...

    def by_index(self, kind: type[T], name: str, value: str) -> Sequence[T]: ...


# Actions


class Told(Struct, frozen=True, kw_only=True):
    """The event that an action leaves on an object: one text for success, one for failure.

    {name} stands for the name of what came of the action, {error} for the server's refusal.
    """

    about: Any
    type: Literal["Normal", "Warning"] = "Normal"
    reason: str = ""
    message: str = ""
    failed_reason: str = ""
    failed_message: str = ""
    silent: tuple[str, ...] = ()
    """Reasons of refusals that are nobody's news."""


class Create(Struct, frozen=True, kw_only=True):
    """Make an object."""

    obj: Any
    told: Told | None = None
    tolerate: tuple[str, ...] = ()


class Update(Struct, frozen=True, kw_only=True):
    """Replace an object, or one of its sub-resources."""

    obj: Any
    subresource: str = ""
    told: Told | None = None
    tolerate: tuple[str, ...] = ()


class Patch(Struct, frozen=True, kw_only=True):
    """Change a part of an object. With metadata.uid in the body only that very object is changed."""

    kind: Any
    key: str
    body: Any
    patch_type: Literal["merge", "strategic", "json"] = "merge"
    subresource: str = ""
    told: Told | None = None
    tolerate: tuple[str, ...] = ()


class Delete(Struct, frozen=True, kw_only=True):
    """Delete an object, and only the one with this uid."""

    kind: Any
    key: str
    uid: str
    resource_version: str = ""
    grace_seconds: int | None = None
    propagation: Literal["", "Background", "Foreground", "Orphan"] = ""
    told: Told | None = None
    tolerate: tuple[str, ...] = ("NotFound",)


class Confirm(Struct, frozen=True, kw_only=True):
    """Ask the server itself whether this very object still stands and is not being deleted; else the plan ends."""

    kind: Any
    key: str
    uid: str


class Read(Struct, frozen=True, kw_only=True):
    """Ask the server itself for an object; its absence is an error like any other."""

    kind: Any
    key: str
    tolerate: tuple[str, ...] = ()


class Call(Struct, frozen=True, kw_only=True):
    """Ask the server something that no other action says; what comes back goes to the plan's `then`."""

    name: str
    ask: Callable[[Client], Awaitable[Any]]


class Emit(Struct, frozen=True, kw_only=True):
    """Tell of something that happened to an object."""

    about: Any
    reason: str
    message: str
    type: Literal["Normal", "Warning"] = "Normal"


class Fail(Struct, frozen=True, kw_only=True):
    """End the plan as a refusal would: something that the plan needs is not there, and the key comes again later."""

    message: str


class Chain(Struct, frozen=True, kw_only=True):
    """Actions one after the other, for a batch whose members take more than one; the first refusal ends them.

    told tells of such a refusal, besides what its own action tells.
    """

    actions: tuple[Any, ...]
    told: Told | None = None


class Batch(Struct, frozen=True, kw_only=True):
    """Actions side by side. With slow_start in groups of 1, 2, 4, ..., and no further group after a failure."""

    actions: tuple[Create | Delete | Patch | Chain, ...]
    slow_start: bool = False


Single = Create | Update | Patch | Delete | Confirm | Read | Call | Emit | Fail | Chain
Action = Single | Batch


class Outcome(Struct, frozen=True, kw_only=True):
    """What came of a plan's actions: one result for each that was done, and the first refusal.

    partial: what was done of the batch that was refused in part.
    """

    results: tuple[Any, ...] = ()
    error: ApiError | None = None
    partial: tuple[Any, ...] = ()


class Plan(Struct, frozen=True, kw_only=True):
    """Actions in order; the first refusal ends them.

    `then` is the rest of the plan, made once it is known what came of the actions. A refusal makes the key come
    again after a pause that grows; handled says that `then` took care of it. requeue_after is in seconds.
    """

    actions: tuple[Action, ...] = ()
    then: Callable[[Outcome], Plan] | None = None
    requeue_after: float | None = None
    handled: bool = False


NOTHING = Plan()


# Which changes concern which key


class Source(Struct, frozen=True, kw_only=True):
    """One watched kind. keys gives the keys that an object concerns; it is asked about its old and new form.

    change, when given, takes both forms at once instead, for controllers that must know what is different.
    A kind that only one controller watches may be narrowed by a selector. delay says how many seconds a change may
    wait for others of the same key.
    """

    kind: type[Any]
    keys: Callable[[Any, Caches], Iterable[str]] | None = None
    change: Callable[[Any, Any, Caches], Iterable[str]] | None = None
    pause: Callable[[str], float] | None = None
    indexes: tuple[tuple[str, Callable[[Any], Iterable[str]]], ...] = ()
    field_selector: str = ""
    delay: Callable[[Any, Any], float] | None = None


class Controller(Protocol, Generic[O]):
    """One control loop. Attributes: its name (as in --controllers) and the component its events name."""

    name: str
    component: str
    workers: int

    def sources(self) -> tuple[Source, ...]: ...

    def initial(self, caches: Caches) -> Iterable[str]:
        """The keys to look at when the controller starts."""
        ...

    def observe(self, key: str, caches: Caches, now: float) -> O | None:
        """What is known of a key; None when there is nothing to do about it."""
        ...

    def plan(self, observed: O) -> Plan: ...


def own_key(obj: Any, _: Caches) -> tuple[str, ...]:
    """An object concerns its own key."""
    metadata = obj.metadata
    return (f"{metadata.namespace}/{metadata.name}" if metadata.namespace else metadata.name,)


def owner_key(kind: str) -> Callable[[Any, Caches], Iterable[str]]:
    """An object concerns the key of its controller, if that is of this kind."""

    def keys(obj: Any, _: Caches) -> tuple[str, ...]:
        reference = controller_of(obj)
        if reference is None or reference.kind != kind:
            return ()
        return (f"{obj.metadata.namespace}/{reference.name}",)

    return keys


def orphans_of(namespace: str) -> str:
    return f"orphans/{namespace}"


def index_by_owner(obj: Any) -> tuple[str, ...]:
    """The values of OWNER_INDEX: the owner's uid, or for an orphan its namespace, also with each of its labels."""
    reference = controller_of(obj)
    if reference is not None:
        return (reference.uid,)
    everyone = orphans_of(obj.metadata.namespace)
    return (everyone, *(f"{everyone}/{key}={value}" for key, value in obj.metadata.labels.items()))


BY_OWNER = (OWNER_INDEX, index_by_owner)
