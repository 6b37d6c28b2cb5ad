"""Requests that only pods know - binding, eviction, logs, remote commands - and how a deletion is worded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kube_actors.api import messages
from kube_actors.api.messages import Request, Session
from kube_actors.api.types.meta_v1 import DeleteOptions, Preconditions

from .answers import ExecResult, exec_result
from .decoding import encode

_LOG_PARAMETERS = {
    "container": "container",
    "follow": "follow",
    "previous": "previous",
    "timestamps": "timestamps",
    "tail_lines": "tailLines",
    "since_seconds": "sinceSeconds",
    "since_time": "sinceTime",
    "limit_bytes": "limitBytes",
}


def delete_options(
    *,
    grace_seconds: int | None = None,
    propagation: str = "",
    uid: str = "",
    resource_version: str = "",
    dry_run: bool = False,
) -> DeleteOptions:
    """How a deletion is to go, as the object that says so."""
    preconditions = Preconditions(uid=uid or None, resource_version=resource_version or None)
    return DeleteOptions(
        grace_period_seconds=grace_seconds,
        propagation_policy=propagation or None,
        preconditions=preconditions if uid or resource_version else None,
        dry_run=("All",) if dry_run else (),
    )


def delete_body(**how: Any) -> bytes:
    """The body of a delete request; empty when nothing is said."""
    options = delete_options(**how)
    return b"" if options == DeleteOptions() else encode(options)


def binding(name: str, node_name: str, namespace: str, uid: str) -> Request:
    """Assign a pod to a node; with a uid only if it is still that pod."""
    body = {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": name, "namespace": namespace, **({"uid": uid} if uid else {})},
        "target": {"apiVersion": "v1", "kind": "Node", "name": node_name},
    }
    return _pod("create", name, namespace, "binding", body=encode(body))


def eviction(name: str, namespace: str, how: dict[str, Any]) -> Request:
    body: dict[str, Any] = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": name, "namespace": namespace},
    }
    if how:
        body["deleteOptions"] = delete_options(**how)
    return _pod("create", name, namespace, "eviction", body=encode(body))


def log(name: str, namespace: str, options: dict[str, Any]) -> Request:
    """Read a container's log."""
    params = []
    for option, value in options.items():
        wire = _LOG_PARAMETERS[option]
        if value is not None and value is not False and value != "":
            params.append((wire, "true" if value is True else str(value)))
    return _pod("get", name, namespace, "log", params=tuple(params), accept="*/*")


def exec_(name: str, namespace: str, command: Sequence[str], options: dict[str, Any]) -> Request:
    """Run a command in a container."""
    chosen = {"stdin": False, "stdout": True, "stderr": not options.get("tty", False), "tty": False, **options}
    params = [("command", word) for word in command]
    container = chosen.pop("container", "")
    if container:
        params.append(("container", container))
    params += [(flag, "true") for flag, wanted in chosen.items() if wanted]
    return _pod("connect", name, namespace, "exec", params=tuple(params))


async def collect(session: Session, stdin: bytes | None) -> ExecResult:
    """Feed a remote command its input and gather its output until it ends."""
    if stdin is not None:
        if stdin:
            await session.send(messages.STDIN, stdin)
        await session.send(messages.CLOSE, bytes([messages.STDIN]))
    gathered: dict[int, list[bytes]] = {messages.STDOUT: [], messages.STDERR: [], messages.ERROR: []}
    while (frame := await session.receive()) is not None:
        channel, data = frame
        if channel in gathered:
            gathered[channel].append(data)
    out, err, error = (b"".join(gathered[channel]) for channel in (messages.STDOUT, messages.STDERR, messages.ERROR))
    return exec_result(out, err, error)


def _pod(
    verb: messages.Verb,
    name: str,
    namespace: str,
    subresource: str,
    *,
    body: bytes = b"",
    params: tuple[tuple[str, str], ...] = (),
    accept: str = messages.JSON,
) -> Request:
    return Request(
        verb=verb,
        version="v1",
        resource="pods",
        namespace=namespace,
        name=name,
        subresource=subresource,
        body=body,
        params=params,
        accept=accept,
    )
