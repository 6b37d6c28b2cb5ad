"""The scheduler's extension points, what plugins answer, and a profile of plugins with weights.

Owns the vocabulary between a scheduling cycle and its plugins. It decides nothing itself. All points up to Score are
synchronous and pure; Permit, PreBind, Bind and PostBind run while a pod is being bound and may wait.

A plugin is any object with a `name` and the methods of the points it takes part in.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeGuard, runtime_checkable

from msgspec import Struct

from kube_actors.api.types.core_v1 import Pod
from kube_actors.client import Client

from .events import Interest
from .node_info import NodeInfo
from .pod_info import PodInfo
from .snapshot import Snapshot

if TYPE_CHECKING:
    from .arrays.table import Bools, Ints, Table

MAX_SCORE = 100
"""The best score a plugin gives a node, before its weight."""


class Code(enum.Enum):
    """What a plugin's answer means; the values are the words that Kubernetes uses."""

    SUCCESS = "Success"
    ERROR = "Error"
    UNSCHEDULABLE = "Unschedulable"
    UNRESOLVABLE = "UnschedulableAndUnresolvable"
    SKIP = "Skip"


class Verdict(Struct, frozen=True):
    """A plugin's answer with its reasons. None stands for success where a verdict is expected."""

    code: Code
    reasons: tuple[str, ...] = ()
    plugin: str = ""

    @property
    def is_rejection(self) -> bool:
        return self.code in (Code.UNSCHEDULABLE, Code.UNRESOLVABLE)

    @property
    def message(self) -> str:
        return ", ".join(self.reasons)


SUCCESS = Verdict(Code.SUCCESS)
SKIP = Verdict(Code.SKIP)


def unschedulable(plugin: str, *reasons: str) -> Verdict:
    """Not now, but taking pods away might help."""
    return Verdict(Code.UNSCHEDULABLE, reasons, plugin)


def unresolvable(plugin: str, *reasons: str) -> Verdict:
    """Not now, and taking pods away would not help."""
    return Verdict(Code.UNRESOLVABLE, reasons, plugin)


class NodeNames(Struct, frozen=True):
    """A PreFilter's answer that only these nodes can do."""

    names: frozenset[str]


class Copyable(Protocol):
    def copy(self) -> Any: ...


class CycleState:
    """What plugins keep from one point to the next in the cycle of one pod."""

    __slots__ = ("data", "skipped_filters", "skipped_scores")

    def __init__(self) -> None:
        self.data: dict[str, Copyable] = {}
        self.skipped_filters: set[str] = set()
        self.skipped_scores: set[str] = set()

    def copy(self) -> CycleState:
        """A state of its own, for trying something out."""
        new = CycleState()
        new.data = {key: value.copy() for key, value in self.data.items()}
        new.skipped_filters = self.skipped_filters
        new.skipped_scores = self.skipped_scores
        return new


class Nomination(Struct, frozen=True):
    """What a PostFilter found: the pod will fit on the node once the victims are gone.

    Without a node it takes back an earlier nomination, and `refusal` says why there is none now.
    """

    node: str
    victims: tuple[PodInfo, ...] = ()
    candidates: Mapping[str, tuple[PodInfo, ...]] = {}
    refusal: Verdict | None = None


class Plugin(Protocol):
    name: str


@runtime_checkable
class PreEnqueue(Plugin, Protocol):
    def pre_enqueue(self, pod: Pod) -> Verdict | None:
        """Whether the pod may be tried at all."""
        ...


@runtime_checkable
class QueueSort(Plugin, Protocol):
    def sort_key(self, pod: PodInfo, since: float) -> tuple[Any, ...]:
        """Smaller is tried earlier; `since` is when the pod came into the queue."""
        ...


@runtime_checkable
class PreFilter(Plugin, Protocol):
    def pre_filter(self, state: CycleState, pod: PodInfo, snapshot: Snapshot) -> Verdict | NodeNames | None:
        """Prepare for filtering. SKIP leaves out the plugin's filter, a rejection ends the cycle."""
        ...


@runtime_checkable
class PreFilterExtensions(Plugin, Protocol):
    def add_pod(self, state: CycleState, pod: PodInfo, other: PodInfo, node: NodeInfo, snapshot: Snapshot) -> None:
        """What if `other` were on the node too."""
        ...

    def remove_pod(self, state: CycleState, pod: PodInfo, other: PodInfo, node: NodeInfo, snapshot: Snapshot) -> None:
        """What if `other` were no longer on the node."""
        ...


@runtime_checkable
class Filter(Plugin, Protocol):
    def filter(self, state: CycleState, pod: PodInfo, node: NodeInfo) -> Verdict | None:
        """Whether the pod can run on the node."""
        ...


@runtime_checkable
class PostFilter(Plugin, Protocol):
    def post_filter(
        self,
        profile: Profile,
        state: CycleState,
        pod: PodInfo,
        snapshot: Snapshot,
        refused: Mapping[str, Verdict],
    ) -> Nomination | Verdict:
        """What to do when no node is feasible."""
        ...


@runtime_checkable
class PreScore(Plugin, Protocol):
    def pre_score(
        self, state: CycleState, pod: PodInfo, nodes: Sequence[NodeInfo], snapshot: Snapshot
    ) -> Verdict | None:
        """Prepare for scoring. SKIP leaves out the plugin's score."""
        ...


@runtime_checkable
class Score(Plugin, Protocol):
    def score(self, state: CycleState, pod: PodInfo, nodes: Sequence[NodeInfo], snapshot: Snapshot) -> list[int]:
        """How good each node is."""
        ...


@runtime_checkable
class ArrayFilter(Plugin, Protocol):
    """A filter in array form. A large cluster asks it this way, and node by node only for the words of a refusal.

    A plugin may also say `local = True`: its filter and its score look at nothing but the pod's requests, tolerations,
    node requirements and ports, and at that one node. Its answers are then remembered until the node changes.
    """

    def filter_rows(self, pod: PodInfo, snapshot: Snapshot, table: Table) -> Bools | None:
        """For each row of the table whether the node can run the pod; None when the plugin has no say."""
        ...


@runtime_checkable
class ArrayScore(Plugin, Protocol):
    def score_rows(self, pod: PodInfo, snapshot: Snapshot, table: Table, rows: Ints) -> Ints | None:
        """Normalised scores of the given rows; None when the plugin skips scoring, or says the same of every node."""
        ...


@runtime_checkable
class Normalize(Plugin, Protocol):
    def normalize(self, state: CycleState, nodes: Sequence[NodeInfo], scores: list[int]) -> list[int]:
        """Bring scores into 0..MAX_SCORE."""
        ...


@runtime_checkable
class Reserve(Plugin, Protocol):
    def reserve(self, state: CycleState, pod: PodInfo, node: str) -> Verdict | None: ...

    def unreserve(self, state: CycleState, pod: PodInfo, node: str) -> None: ...


@runtime_checkable
class Permit(Plugin, Protocol):
    async def permit(self, state: CycleState, pod: PodInfo, node: str) -> Verdict | None:
        """Whether binding may go on; a plugin that wants to wait, waits."""
        ...


@runtime_checkable
class PreBind(Plugin, Protocol):
    async def pre_bind(self, state: CycleState, pod: PodInfo, node: str, client: Client) -> Verdict | None: ...


@runtime_checkable
class Bind(Plugin, Protocol):
    async def bind(self, pod: PodInfo, node: str, client: Client) -> Verdict | None:
        """Assign the pod; SKIP leaves it to the next plugin."""
        ...


@runtime_checkable
class PostBind(Plugin, Protocol):
    def post_bind(self, state: CycleState, pod: PodInfo, node: str) -> None: ...


@runtime_checkable
class Interested(Plugin, Protocol):
    def interests(self) -> Sequence[Interest]:
        """Which changes in the cluster may make a pod schedulable that this plugin refused."""
        ...


class Profile:
    """Plugins by extension point, in their order, with the weights of their scores."""

    def __init__(self, plugins: Sequence[Plugin], weights: Mapping[str, int], name: str = "default-scheduler") -> None:
        self.name = name
        self.plugins = tuple(plugins)
        self.weights = dict(weights)
        self.pre_enqueue: list[PreEnqueue] = _at(plugins, PreEnqueue)
        self.queue_sort: QueueSort = _at(plugins, QueueSort)[0]
        self.pre_filters: list[PreFilter] = _at(plugins, PreFilter)
        self.extensions: list[PreFilterExtensions] = _at(plugins, PreFilterExtensions)
        self.filters: list[Filter] = _at(plugins, Filter)
        self.post_filters: list[PostFilter] = _at(plugins, PostFilter)
        self.pre_scores: list[PreScore] = _at(plugins, PreScore)
        self.scores: list[Score] = _at(plugins, Score)
        normalizers: list[Normalize] = _at(plugins, Normalize)
        self.normalizers = {plugin.name: plugin for plugin in normalizers}
        self.reserves: list[Reserve] = _at(plugins, Reserve)
        self.permits: list[Permit] = _at(plugins, Permit)
        self.pre_binds: list[PreBind] = _at(plugins, PreBind)
        self.binds: list[Bind] = _at(plugins, Bind)
        self.post_binds: list[PostBind] = _at(plugins, PostBind)
        interested: list[Interested] = _at(plugins, Interested)
        self.interests = {plugin.name: tuple(plugin.interests()) for plugin in interested}

    def admits(self, pod: Pod) -> Verdict | None:
        """The first PreEnqueue that says no, or None."""
        for plugin in self.pre_enqueue:
            verdict = plugin.pre_enqueue(pod)
            if verdict is not None:
                return verdict
        return None


def _at(plugins: Sequence[Plugin], point: Any) -> list[Any]:
    """The plugins that stand at an extension point: those with its methods.

    What isinstance says, without its walk over every member that a protocol inherits: that walk took a tenth of a
    cluster's start.
    """
    methods = [name for name, value in vars(point).items() if not name.startswith("_") and callable(value)]
    assert methods, f"{point} adds no method"
    return [plugin for plugin in plugins if all(hasattr(plugin, name) for name in methods)]


def has_array_filter(plugin: object) -> TypeGuard[ArrayFilter]:
    return hasattr(plugin, "filter_rows")


def has_array_score(plugin: object) -> TypeGuard[ArrayScore]:
    return hasattr(plugin, "score_rows")


def scaled(scores: list[int], *, reverse: bool = False) -> list[int]:
    """Scores stretched so that the greatest becomes MAX_SCORE; reversed, so that it becomes 0."""
    top = max(scores, default=0)
    if top == 0:
        return [MAX_SCORE] * len(scores) if reverse else scores
    if reverse:
        return [MAX_SCORE - MAX_SCORE * score // top for score in scores]
    return [MAX_SCORE * score // top for score in scores]
