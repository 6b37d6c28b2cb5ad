"""Recorded API transcripts replayed against an in-process server, without HTTP.

Owns the way from a recorded request line to a `Request`, so that the core can be compared before any HTTP face is
there; comparison and placeholders are those of the recordings' own replayer, loaded from its file.
"""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import trio
import trio.testing

from kube_actors.api.messages import Answer, Options, RawRequest, Request, UserInfo, WatchAnswer
from kube_actors.apiserver.server import APIServer

GOLDEN = Path(os.environ.get("KUBE_ACTORS_GOLDEN", Path(__file__).parents[3] / "shared" / "golden"))
ADMIN = UserInfo(name="admin", uid="admin", groups=("system:masters", "system:authenticated"))
_VERBS = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


def available() -> bool:
    return (GOLDEN / "replay.py").exists()


def replayer() -> ModuleType:
    """The recordings' own replayer as a module."""
    spec = importlib.util.spec_from_file_location("golden_replay", GOLDEN / "replay.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def transcripts(topic: str) -> Iterator[dict[str, Any]]:
    for line in (GOLDEN / "apiserver" / f"{topic}.jsonl").read_text().splitlines():
        yield json.loads(line)


class Unroutable(Exception):
    """The request is one for the HTTP face, not for the core."""


def to_request(method: str, target: str, headers: dict[str, str], body: bytes) -> Request:
    """A recorded request as a message; Unroutable for what is no resource or asks for another representation."""
    if "as=" in headers.get("Accept", ""):
        raise Unroutable("representation")
    split = urlsplit(target)
    parts = [part for part in split.path.split("/") if part]
    query = parse_qsl(split.query, keep_blank_values=True)
    if parts[:1] == ["api"] and len(parts) > 2:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[:1] == ["apis"] and len(parts) > 3:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        raise Unroutable(target)
    if rest[0] == "watch":
        raise Unroutable("legacy watch path")
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in ("status", "finalize"):
        namespace, rest = rest[1], rest[2:]
    resource, name, subresource = rest[0], rest[1] if len(rest) > 1 else "", "/".join(rest[2:])
    verb = _VERBS[method]
    options = _options(query)
    if not name and method == "GET":
        verb = "watch" if any(key == "watch" and value != "false" for key, value in query) else "list"
    elif not name and method == "DELETE":
        verb = "deletecollection"
    return Request(
        verb=verb,  # type: ignore[arg-type]
        group=group,
        version=version,
        resource=resource,
        namespace=namespace,
        name=name,
        subresource=subresource,
        body=body,
        content_type=headers.get("Content-Type", "application/json"),
        options=options,
        params=tuple(query),
        user=ADMIN,
        user_agent=headers.get("User-Agent", ""),
    )


_OPTIONS = {
    "labelSelector": "label_selector",
    "fieldSelector": "field_selector",
    "resourceVersion": "resource_version",
    "resourceVersionMatch": "resource_version_match",
    "continue": "continue_",
    "fieldManager": "field_manager",
    "fieldValidation": "field_validation",
    "propagationPolicy": "propagation_policy",
}
_NUMBERS = {"limit": "limit", "timeoutSeconds": "timeout_seconds", "gracePeriodSeconds": "grace_seconds"}
_BOOLS = {
    "allowWatchBookmarks": "allow_watch_bookmarks",
    "sendInitialEvents": "send_initial_events",
    "force": "force",
    "orphanDependents": "orphan_dependents",
}


def _options(query: list[tuple[str, str]]) -> Options:
    found: dict[str, Any] = {}
    for key, value in query:
        if key in _OPTIONS:
            found[_OPTIONS[key]] = value
        elif key in _NUMBERS:
            if not value.lstrip("-").isdigit():
                raise Unroutable("a number that the router refuses")
            found[_NUMBERS[key]] = int(value)
        elif key in _BOOLS:
            found[_BOOLS[key]] = value.lower() not in ("false", "0")
        elif key == "dryRun":
            found["dry_run"] = (*found.get("dry_run", ()), value)
    return Options(**found)


async def step(
    server: APIServer, replay: ModuleType, request: dict[str, Any], results: list[Any]
) -> tuple[int, Any, list[str]]:
    """Status, parsed body and warnings of one recorded request."""
    if request.get("auth", "admin") != "admin" or any(
        key.startswith("Impersonate") for key in request.get("headers") or {}
    ):
        raise Unroutable("authentication")
    path, headers, body = replay.encode(request, results)
    parts = path.partition("?")[0].strip("/").split("/")
    discovery = len(parts) <= (3 if parts[0] == "apis" else 2)
    raw = request["method"] == "GET" and server.raw is not None and discovery
    asked = RawRequest(path=path) if raw else to_request(request["method"], path, headers, body or b"")
    answer = await server.handle(asked)
    if isinstance(answer, WatchAnswer):
        events: list[Any] = []
        with trio.move_on_after(8):
            while batch := await answer.stream.receive_batch():
                events.extend(json.loads(event.line()) for event in batch)
        answer.stream.close()
        return 200, events, []
    assert isinstance(answer, Answer)
    try:
        parsed = json.loads(answer.body)
    except ValueError:
        parsed = answer.body.decode()
    return answer.status, parsed, [value for key, value in answer.headers if key == "Warning"]


async def _until(
    server: APIServer, replay: ModuleType, request: dict[str, Any], results: list[Any]
) -> tuple[int, Any, list[str]]:
    """A step, repeated until it says what the recording waited for. What we do later is done once all tasks wait."""
    wanted = request.get("until")
    for _ in range(20 if wanted else 1):
        status, raw, warnings = await step(server, replay, request, results)
        if not wanted or status == wanted.get("status"):
            break
        if "path" in wanted and _at(raw, wanted["path"]) == wanted.get("equals"):
            break
        await trio.testing.wait_all_tasks_blocked(0.01)
    return status, raw, warnings


def _at(value: Any, path: str) -> Any:
    for part in path.split("."):
        try:
            value = value[int(part)] if isinstance(value, list) else value[part]
        except (KeyError, IndexError, TypeError, ValueError):
            return None
    return value


async def replay_transcript(server: APIServer, replay: ModuleType, transcript: dict[str, Any]) -> list[str]:
    """The differences of one transcript; raises Unroutable when it is not the core's to answer."""
    norm = replay.Normaliser(transcript["steps"], transcript.get("managedFields", False))
    results: list[Any] = []
    found: list[str] = []
    for number, recorded in enumerate(transcript["steps"], 1):
        status, raw, warnings = await _until(server, replay, recorded["request"], results)
        results.append({"status": status, "headers": {}, "body": raw})
        got = {"status": status, "headers": {}, "body": norm(raw)}
        if warnings:
            got["headers"]["Warning"] = [norm.text(value, None) for value in warnings]
        found += [f"step {number}: {line}" for line in replay.compare(recorded, got, False)]
    return found
