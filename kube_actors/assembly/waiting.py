"""Waiting until an object is as one wants it: a condition, a value, its existence or its end.

Owns the small language of `Cluster.wait` and the error that says what was missing. Watches; never polls.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import trio

from kube_actors.api.errors import ApiError
from kube_actors.client import Client, TransportError

Test = Callable[[Mapping[str, Any]], bool]
RETRY_SECONDS = 0.2


class WaitTimeout(TimeoutError):
    """The object did not come to be as it was waited for; the message says how it is instead."""


class Goal:
    """What is waited for. `met` takes the object as plain data, None where there is none."""

    def __init__(self, what: str | Test) -> None:
        self.text = what if isinstance(what, str) else getattr(what, "__name__", "as tested")
        self._what = what

    def met(self, obj: Mapping[str, Any] | None) -> bool:
        if self._what in ("Deleted", "Gone"):
            return obj is None
        if obj is None:
            return False
        if callable(self._what):
            return self._what(obj)
        if self._what == "Exists":
            return True
        path, equals, wanted = self._what.partition("=")
        if equals and "." in path:
            return str(value_at(obj, path)) == wanted
        return self._condition(obj, path, wanted or "True")

    def _condition(self, obj: Mapping[str, Any], name: str, wanted: str) -> bool:
        generation = (obj.get("metadata") or {}).get("generation")
        status = obj.get("status") or {}
        observed = status.get("observedGeneration")
        if generation is not None and observed is not None and observed < generation:
            return False  # the condition speaks of an older spec
        return any(
            condition.get("type", "").lower() == name.lower() and condition.get("status") == wanted
            for condition in status.get("conditions") or ()
        )

    def shortfall(self, obj: Mapping[str, Any] | None) -> str:
        """How the object is instead, in a few words."""
        if obj is None:
            return "there is no such object"
        path, equals, _ = self.text.partition("=")
        if equals and "." in path:
            return f"{path} is {value_at(obj, path)!r}"
        conditions = (obj.get("status") or {}).get("conditions") or ()
        told = [
            f"{c.get('type')}={c.get('status')} ({c.get('reason', '')}: {c.get('message', '')})" for c in conditions
        ]
        return "; ".join(told) or "it has no conditions"


def value_at(obj: Any, path: str) -> Any:
    """The value at a dotted path ("status.phase", "status.containerStatuses.0.ready"); None where there is none."""
    for part in path.lstrip(".").split("."):
        if isinstance(obj, Mapping):
            obj = obj.get(part)
        elif isinstance(obj, list) and part.isdigit() and int(part) < len(obj):
            obj = obj[int(part)]
        else:
            return None
    return obj


async def wait_for(
    client: Client, argument: str, what: str | Test, *, namespace: str, timeout: float
) -> dict[str, Any] | None:
    """Wait until the object that `argument` ("deployment/web") names meets the goal; it is given as plain data.

    Raises WaitTimeout after `timeout` seconds, ApiError when the server refuses.
    """
    goal = Goal(what)
    word, slash, name = argument.rpartition("/")
    if not slash or not name:
        raise ValueError(f"{argument!r} does not name an object; write KIND/NAME, for example deployment/web")
    resource, _ = await client.kinds.find(word)
    seen: list[dict[str, Any] | None] = [None]
    with trio.move_on_after(timeout):
        while True:
            try:
                if await _follow(client, word, name, namespace if resource.namespaced else "", goal, seen):
                    return seen[0]
            except TransportError:
                pass  # the server is away for a moment; the deadline bounds how often this is tried
            except ApiError as error:
                if error.code not in (410, 429, 500, 503, 504):
                    raise
            await trio.sleep(RETRY_SECONDS)
    raise WaitTimeout(f"{argument} is not {goal.text} after {timeout:g} s: {goal.shortfall(seen[0])}")


async def _follow(
    client: Client, kind: str, name: str, namespace: str, goal: Goal, seen: list[dict[str, Any] | None]
) -> bool:
    """One watch of the object from its present state on; whether the goal was met before the watch ended."""
    stream = await client.open_watch(
        kind,
        namespace=namespace,
        field_selector=f"metadata.name={name}",
        resource_version_match="NotOlderThan",
        send_initial_events=True,
        allow_watch_bookmarks=True,
    )
    current: dict[str, Any] | None = None
    complete = False
    try:
        while batch := await stream.receive_batch():
            for event in batch:
                if event.type == "ERROR":
                    return False
                if event.type == "BOOKMARK":
                    complete = True
                else:
                    current = None if event.type == "DELETED" else msgspec.json.decode(event.object)
                seen[0] = current
                if complete and goal.met(current):
                    return True
        return False
    finally:
        stream.close()
