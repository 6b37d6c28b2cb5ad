"""Files with clusters for `kube-actors explain`: a kubectl List or manifests, or recordings of scheduling cycles.

Owns reading them and completing objects that no API server has seen. A recording's objects are taken as they stand.
Raises ExplainError naming the file, the line where there are lines, and what is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from kube_actors.api.resources import Resources
from kube_actors.apiserver.strategies import strategy_for
from kube_actors.apiserver.strategies.cluster import SYSTEM_CLASSES
from kube_actors.scheduler.explaining import Unreadable, explain, read_cluster, read_pod
from kube_actors.scheduler.plugins.default_profile import default_profile

from . import manifests

JSONObject = dict[str, Any]

LINES_SUFFIX = ".jsonl"
_RECORDED = ("objects", "pod")


class ExplainError(ValueError):
    """A file that does not say what is to be explained; the message names the place."""


def explain_pod(path: Path, pod: str) -> JSONObject:
    """What would happen to one pod ("namespace/name") of a file, in the form of the recordings. Raises ExplainError."""
    recording = _recording(path)
    objects = _completed(_manifests(path)) if recording is None else [*recording["objects"], recording["pod"]]
    namespace, _, name = pod.rpartition("/")
    target = next((obj for obj in objects if _is_pod(obj, namespace or "default", name)), None)
    if target is None:
        raise ExplainError(f"{path}: there is no pod {namespace or 'default'}/{name} in it")
    others = [obj for obj in objects if obj is not target]
    return {"pod": f"{namespace or 'default'}/{name}", **_answer(target, others, str(path))}


def explain_lines(path: Path) -> Iterator[JSONObject]:
    """Each recording of a .jsonl file, in order. Raises ExplainError at the line that cannot be read."""
    for number, line in enumerate(_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            recording = msgspec.json.decode(line)
        except msgspec.DecodeError as error:
            raise ExplainError(f"{where}: {error}") from None
        _check(recording, where)
        known = {key: recording[key] for key in ("id", "family") if key in recording}
        yield {**known, **_answer(recording["pod"], recording["objects"], where)}


def _answer(pod: JSONObject, objects: list[JSONObject], where: str) -> JSONObject:
    try:
        return explain(read_pod(pod), read_cluster(objects), default_profile())
    except Unreadable as error:
        raise ExplainError(f"{where}: {error}") from None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise ExplainError(f"{path}: cannot be read: {reason}") from None


def _recording(path: Path) -> JSONObject | None:
    """The file's one recording, if that is what it holds."""
    try:
        value = msgspec.json.decode(_text(path))
    except msgspec.DecodeError:
        return None
    if not isinstance(value, dict) or not set(_RECORDED) & value.keys():
        return None
    _check(value, str(path))
    return value


def _check(recording: Any, where: str) -> None:
    if not isinstance(recording, dict):
        raise ExplainError(f"{where}: a JSON object with objects and pod is wanted")
    for field, kind, words in (("objects", list, "a list of objects"), ("pod", dict, "a Pod")):
        if not isinstance(recording.get(field), kind):
            raise ExplainError(f"{where}: {field} must be {words}")
    for index, obj in enumerate(recording["objects"]):
        if not isinstance(obj, dict):
            raise ExplainError(f"{where}: objects[{index}] must be an object")


def _manifests(path: Path) -> list[JSONObject]:
    try:
        return manifests.read(path)
    except manifests.ManifestError as error:
        raise ExplainError(str(error)) from None


def _is_pod(obj: JSONObject, namespace: str, name: str) -> bool:
    metadata = obj.get("metadata") or {}
    return obj.get("kind") == "Pod" and (metadata.get("namespace") or "default", metadata.get("name")) == (
        namespace,
        name,
    )


def _completed(objects: list[JSONObject]) -> list[JSONObject]:
    """Objects as an API server would keep them: defaults, a namespace, the priority of a pod's class."""
    priorities = {**SYSTEM_CLASSES}
    for obj in objects:
        if obj["kind"] == "PriorityClass" and isinstance(obj.get("value"), int):
            priorities[obj["metadata"]["name"]] = obj["value"]
    known = Resources()
    return [_complete(obj, known, priorities) for obj in objects]


def _complete(obj: JSONObject, known: Resources, priorities: dict[str, int]) -> JSONObject:
    if obj["metadata"].get("uid"):
        return obj  # an API server has seen it
    resource = known.by_api_version(obj["apiVersion"], obj["kind"])
    if resource is None:
        return obj  # nothing that scheduling looks at
    fresh: JSONObject = msgspec.json.decode(msgspec.json.encode(obj))
    if resource.namespaced:
        fresh["metadata"].setdefault("namespace", "default")
    try:
        strategy_for(resource).default(fresh)
    except (AttributeError, KeyError, TypeError):
        return obj  # not of the shape that its kind has: reading it says where
    named = (fresh.get("spec") or {}).get("priorityClassName") if obj["kind"] == "Pod" else None
    if named in priorities and fresh["spec"].get("priority") is None:
        fresh["spec"]["priority"] = priorities[named]
    return fresh
