"""Which engine runs the pods: chosen by name or found, opened, and handed to nodes.

Docker and Podman are one engine a host, shared by all its nodes, and imported only when they are chosen; the simulated
engine is one a node.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Literal

import trio
from msgspec import Struct

from kube_actors.actors import System
from runtimes.contract import Runtime, RuntimeFault
from runtimes.simulated import SimulatedRuntime

from .config import ConfigError

EngineName = Literal["docker", "podman", "simulated"]

PROBE_SECONDS = 5.0
"""How long an engine may take to answer when `auto` looks for one."""


class Choice(Struct, frozen=True):
    """The engine that was chosen, and why: a sentence for the person who asked for `auto`."""

    name: EngineName
    why: str = ""


class Engines:
    """Gives each node its runtime. Made by `open_engines`."""

    def __init__(self, name: EngineName, runtime_of: Callable[[int], Runtime]) -> None:
        self.name = name
        self.of = runtime_of
        """The runtime of the node with this place in the list of nodes."""

    @property
    def real(self) -> bool:
        """Whether containers outlive this process unless they are removed."""
        return self.name != "simulated"


def docker_socket() -> str:
    return os.environ.get("DOCKER_HOST", "").removeprefix("unix://") or "/var/run/docker.sock"


async def choose(name: str) -> Choice:
    """The engine for a name; `auto` is Docker if its socket answers, else Podman, else simulated.

    Raises ConfigError naming the cause when the engine that was asked for does not answer.
    """
    if name == "simulated":
        return Choice("simulated")
    wanted: Sequence[EngineName] = ("docker", "podman") if name == "auto" else (_known(name),)
    causes: list[str] = []
    for engine in wanted:
        cause = await _silent(engine)
        if cause is None:
            return Choice(engine, f"{engine} answers" + (f" ({'; '.join(causes)})" if causes else ""))
        causes.append(f"{engine}: {cause}")
    if name == "auto":
        return Choice("simulated", f"no engine answers ({'; '.join(causes)})")
    raise ConfigError(f"runtime: {causes[0]}; start the engine, or use --runtime simulated")


def _known(name: str) -> EngineName:
    if name == "docker":
        return "docker"
    if name == "podman":
        return "podman"
    raise ConfigError(f"runtime: there is no {name!r}; known are auto, docker, podman, simulated")


async def _silent(engine: EngineName) -> str | None:
    """Why an engine does not answer; None when it does."""
    with trio.move_on_after(PROBE_SECONDS):
        try:
            async with _open_shared(engine) as runtime:
                try:
                    await runtime.version()
                except RuntimeFault as fault:  # here, not outside: an engine's own nursery would wrap it
                    return str(fault)
        except RuntimeFault as fault:
            return str(fault)
        return None
    return f"no answer within {PROBE_SECONDS:g} s"


@asynccontextmanager
async def _open_shared(engine: EngineName) -> AsyncIterator[Runtime]:
    if engine == "docker":
        from runtimes.docker import open_docker  # lazy: heavy import

        async with open_docker() as docker:
            yield docker
    else:
        from runtimes.podman import open_podman  # lazy: heavy import

        async with open_podman() as podman:
            yield podman


@asynccontextmanager
async def open_engines(
    name: EngineName, system: System, *, pod_ranges: Sequence[str], names: Sequence[str], loopback: bool
) -> AsyncIterator[Engines]:
    """Runtimes for the nodes with these names; the pod ranges are the simulated engines'."""
    if name != "simulated":
        async with _open_shared(name) as runtime:
            yield Engines(name, lambda place: runtime)
        return
    async with trio.open_nursery() as nursery:
        runtimes = [
            SimulatedRuntime(
                nursery,
                now=system.clock.now,
                name=node,
                network="loopback" if loopback else "none",
                pod_cidr=pod_range,
            )
            for node, pod_range in zip(names, pod_ranges, strict=True)
        ]
        try:
            yield Engines(name, runtimes.__getitem__)
        finally:
            with trio.CancelScope(shield=True):
                for runtime in runtimes:
                    await runtime.aclose()
            nursery.cancel_scope.cancel()
