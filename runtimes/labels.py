"""How a sandbox or a container is written into an engine's labels and names, and read back from them.

Real engines share this file, so that what one process created another one recognises. The caller's labels are
engine labels as they are (engines filter by those); a second copy tells them apart from the image's own labels,
which engines mix in. It never talks to an engine.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

import msgspec

from runtimes.contract import ContainerConfig, SandboxConfig, Value

PREFIX = "io.kube-actors."
KIND = PREFIX + "kind"
SANDBOX_ID = PREFIX + "sandbox-id"
RECORD = PREFIX + "record"

Kind = Literal["sandbox", "container"]

_UNSAFE = re.compile(r"[^a-zA-Z0-9_.-]")


class Record(Value, frozen=True, kw_only=True, omit_defaults=True):
    """What an engine cannot tell us by itself later."""

    name: str
    attempt: int = 0
    uid: str = ""
    namespace: str = ""
    image: str = ""
    host_network: bool = False
    share_pid: bool = False
    host_pid: bool = False
    host_ipc: bool = False
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


def sandbox_labels(config: SandboxConfig) -> dict[str, str]:
    record = Record(
        name=config.name,
        attempt=config.attempt,
        uid=config.uid,
        namespace=config.namespace,
        host_network=config.host_network,
        share_pid=config.share_pid,
        host_pid=config.host_pid,
        host_ipc=config.host_ipc,
        labels=config.labels,
        annotations=config.annotations,
    )
    return {**config.labels, KIND: "sandbox", RECORD: msgspec.json.encode(record).decode()}


def container_labels(sandbox_id: str, config: ContainerConfig) -> dict[str, str]:
    record = Record(
        name=config.name,
        attempt=config.attempt,
        image=config.image,
        labels=config.labels,
        annotations=config.annotations,
    )
    return {
        **config.labels,
        KIND: "container",
        SANDBOX_ID: sandbox_id,
        RECORD: msgspec.json.encode(record).decode(),
    }


def read_record(labels: Mapping[str, str]) -> Record | None:
    """The record that one of the two functions above wrote; None for what is not ours."""
    text = labels.get(RECORD)
    if text is None:
        return None
    try:
        return msgspec.json.decode(text, type=Record)
    except msgspec.DecodeError:
        return None


def label_filter(labels: Mapping[str, str], kind: Kind | None, sandbox_id: str | None = None) -> list[str]:
    """`key=value` terms for an engine's label filter, which wants all of them."""
    terms = [f"{key}={value}" for key, value in labels.items()]
    if kind is not None:
        terms.append(f"{KIND}={kind}")
    if sandbox_id is not None:
        terms.append(f"{SANDBOX_ID}={sandbox_id}")
    return terms


def sandbox_name(config: SandboxConfig) -> str:
    return _UNSAFE.sub("-", f"ka_{config.name}_{config.namespace}_{config.uid}_{config.attempt}")


def container_name(sandbox_id: str, config: ContainerConfig) -> str:
    """Unique in its sandbox: the engine's refusal of a second one is our AlreadyExists."""
    return _UNSAFE.sub("-", f"ka_{config.name}_{config.attempt}_{sandbox_id[:12]}")
