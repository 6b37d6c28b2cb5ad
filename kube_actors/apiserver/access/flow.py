"""Priority and fairness: every request over HTTP belongs to a flow, and a flow has its level's seats and no more.

Owns how a request finds its FlowSchema, the seats of each level and the queues before them. A level with queues deals
each flow a few of them and puts its request into the shortest, so that one loud flow cannot fill them all; they are
served in turn. Requests over the channel are the cluster's own and pass by. Lending seats between levels is not done.
"""

from __future__ import annotations

import math
import zlib
from collections import deque
from collections.abc import Iterable
from typing import Any

import trio
from msgspec import Struct

from kube_actors.api import errors
from kube_actors.api.messages import UserInfo
from kube_actors.apiserver import limits
from kube_actors.apiserver.access.attributes import Attributes
from kube_actors.apiserver.access.impersonation import service_account_of
from kube_actors.apiserver.access.seeds import Seeds
from kube_actors.apiserver.mirror import Mirror
from kube_actors.store.contract import Store

JSONObject = dict[str, Any]
PREFIX = "/registry/flowcontrol.apiserver.k8s.io/"
_SALT = 0x9E3779B9
"""Starts the second half of a flow's hash."""

REJECTED = "Too many requests, please try again later."


class Schema:
    """A FlowSchema, ready to be matched."""

    def __init__(self, obj: JSONObject) -> None:
        spec = obj["spec"]
        self.name: str = obj["metadata"]["name"]
        self.uid: str = obj["metadata"]["uid"]
        self.level: str = spec["priorityLevelConfiguration"]["name"]
        self.order = (spec.get("matchingPrecedence") or 0, self.name)
        self.by: str = (spec.get("distinguisherMethod") or {}).get("type", "")
        self.headers: tuple[tuple[str, str], ...] = ()
        self.lines = ""
        """The headers as they are written."""
        self._rules: list[JSONObject] = spec.get("rules") or []

    def matches(self, asked: Attributes) -> bool:
        return any(
            any(_is_subject(subject, asked.user) for subject in rule.get("subjects") or ())
            and (
                any(_path_matches(each, asked) for each in rule.get("nonResourceRules") or ())
                if asked.path
                else any(_resource_matches(each, asked) for each in rule.get("resourceRules") or ())
            )
            for rule in self._rules
        )

    def flow_of(self, asked: Attributes) -> str:
        """What tells its flows apart."""
        match self.by:
            case "ByUser":
                return asked.user.name
            case "ByNamespace":
                return asked.namespace
            case _:
                return ""


def _is_subject(subject: JSONObject, user: UserInfo) -> bool:
    match subject.get("kind"):
        case "User":
            return subject["user"]["name"] in (user.name, "*")
        case "Group":
            name = subject["group"]["name"]
            return name == "*" or name in user.groups
        case "ServiceAccount":
            place, account = service_account_of(user.name), subject["serviceAccount"]
            return place is not None and place[0] == account["namespace"] and account["name"] in (place[1], "*")
        case _:
            return False


def _has(values: Iterable[str] | None, value: str) -> bool:
    return values is not None and (value in values or "*" in values)


def _path_matches(rule: JSONObject, asked: Attributes) -> bool:
    if not _has(rule.get("verbs"), asked.verb):
        return False
    for pattern in rule.get("nonResourceURLs") or ():
        if pattern in ("*", asked.path) or (pattern.endswith("*") and asked.path.startswith(pattern[:-1])):
            return True
    return False


def _resource_matches(rule: JSONObject, asked: Attributes) -> bool:
    if not (_has(rule.get("verbs"), asked.verb) and _has(rule.get("apiGroups"), asked.group)):
        return False
    if not _has(rule.get("resources"), asked.whole):
        return False
    if not asked.namespace:
        return bool(rule.get("clusterScope"))
    return _has(rule.get("namespaces"), asked.namespace)


class Level:
    """A priority level: its seats, who has them, and who waits."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.uid = ""
        self.exempt = False
        self.seats = 1
        self.taken = 0
        self._queues: list[deque[trio.Event]] = []
        self._hand = 0
        self._longest = 0
        self._turn = 0
        self.waiting = 0

    def configure(self, obj: JSONObject, total_shares: int) -> None:
        """Take what the object says; who is in stays in, who waits keeps his place."""
        spec = obj["spec"]
        self.uid = obj["metadata"]["uid"]
        self.exempt = spec.get("type") == "Exempt"
        limited = spec.get("limited") or {}
        self.seats = max(1, math.ceil(limits.SEATS * _shares(obj) / max(1, total_shares)))
        queuing = (limited.get("limitResponse") or {}).get("queuing") or {}
        self._hand, self._longest = queuing.get("handSize") or 1, queuing.get("queueLengthLimit") or 0
        wanted = queuing.get("queues") or 0
        while len(self._queues) < wanted:
            self._queues.append(deque())

    @property
    def is_free(self) -> bool:
        """Whether whoever comes now gets a seat at once."""
        return self.exempt or (self.taken < self.seats and not self.waiting)

    async def enter(self, flow: str) -> None:
        """Wait for a seat; raises a 429 when there is none to wait for."""
        if self.is_free:
            self.taken += 1
            return
        if not self._longest or not self._queues:
            raise _rejected()
        queue = min((self._queues[place] for place in self._dealt(flow)), key=len)
        if len(queue) >= self._longest:
            raise _rejected()
        seat = trio.Event()
        queue.append(seat)
        self.waiting += 1
        try:
            with trio.move_on_after(limits.SEAT_WAIT_SECONDS):
                await seat.wait()
        except trio.Cancelled:
            self._gone(queue, seat)
            raise
        if not seat.is_set():
            self._gone(queue, seat)
            raise _rejected()

    def _gone(self, queue: deque[trio.Event], seat: trio.Event) -> None:
        """Who waited does so no more; a seat that he was given in the same moment is the next one's."""
        if seat.is_set():
            self.leave()
        else:
            queue.remove(seat)
            self.waiting -= 1

    def leave(self) -> None:
        """Give the seat to the next in turn."""
        self.taken -= 1
        while self.waiting and self.taken < self.seats:
            for step in range(len(self._queues)):
                queue = self._queues[(self._turn + step) % len(self._queues)]
                if queue:
                    self._turn = (self._turn + step + 1) % len(self._queues)
                    queue.popleft().set()
                    self.waiting -= 1
                    self.taken += 1
                    break

    def _dealt(self, flow: str) -> list[int]:
        """The flow's hand of queues: the same for the same flow, and hardly ever that of another."""
        name = flow.encode()
        value = zlib.crc32(name) << 32 | zlib.crc32(name, _SALT)
        deck = list(range(len(self._queues)))
        found = []
        for _ in range(min(self._hand, len(deck))):
            value, place = divmod(value, len(deck))
            found.append(deck.pop(place))
        return found


def _rejected() -> errors.ApiError:
    return errors.too_many_requests(REJECTED, 1)


def _shares(obj: JSONObject) -> int:
    spec = obj["spec"]
    found: int = (spec.get("limited") or spec.get("exempt") or {}).get("nominalConcurrencyShares") or 0
    return found


class Ticket(Struct, frozen=True):
    """A request's place: whoever holds it must leave."""

    level: Level
    headers: tuple[tuple[str, str], ...]

    def leave(self) -> None:
        self.level.leave()


class FlowControl:
    """The levels of one store's objects. It begins once the objects that every cluster has are there."""

    def __init__(self, store: Store, seeds: Seeds) -> None:
        self._seeds = seeds
        self._mirror = Mirror(store, PREFIX)
        self._version = -1
        self._schemas: list[Schema] = []
        self.levels: dict[str, Level] = {}
        self._known: dict[tuple[str, ...], Schema | None] = {}

    async def admit(self, asked: Attributes, *, seated: bool = True) -> Ticket | None:
        """The request's place, or None where nothing says anything about it. Raises a 429 when its level is full.

        What lasts (a watch, a command) is only classified: it would hold its seat for ever.
        """
        if not self._seeds.done:
            return None
        objects = await self._mirror.read()
        if self._mirror.version != self._version:
            self._configure(objects)
        schema = self.schema_of(asked)
        if schema is None:
            return None
        level = self.levels[schema.level]
        if not seated or level.is_free:
            level.taken += 1
        else:
            await level.enter(f"{schema.name}/{schema.flow_of(asked)}")
        return Ticket(level, schema.headers)

    def is_ready(self) -> bool:
        """Whether a request can be classified without waiting."""
        return self._mirror.is_current() and self._mirror.version == self._version

    @property
    def version(self) -> int:
        """Grows with every change of what a request's schema depends on."""
        return self._version

    def schema_of(self, asked: Attributes) -> Schema | None:
        """What such a request belongs to, once `is_ready`. Served without waiting it needs no seat, if one is free."""
        user = asked.user
        key = (user.name, asked.verb, asked.group, asked.whole, asked.namespace, asked.path, *user.groups)
        try:
            return self._known[key]
        except KeyError:
            if len(self._known) >= limits.DECISIONS:
                self._known.clear()
            found = next((schema for schema in self._schemas if schema.matches(asked)), None)
            self._known[key] = found
            return found

    def _configure(self, objects: Any) -> None:
        self._version = self._mirror.version
        self._known.clear()
        wanted = {key.partition("/")[2]: obj for key, obj in objects.items() if key.startswith("prioritylevel")}
        total = sum(map(_shares, wanted.values()))
        levels = {name: self.levels.get(name) or Level(name) for name in wanted}
        for name, level in levels.items():
            level.configure(wanted[name], total)
        self.levels = levels
        schemas = [Schema(obj) for key, obj in objects.items() if key.startswith("flowschemas/")]
        self._schemas = sorted((each for each in schemas if each.level in levels), key=lambda each: each.order)
        for schema in self._schemas:
            schema.headers = (
                ("X-Kubernetes-PF-FlowSchema-UID", schema.uid),
                ("X-Kubernetes-PF-PriorityLevel-UID", levels[schema.level].uid),
            )
            schema.lines = "".join(f"{name}: {value}\r\n" for name, value in schema.headers)
