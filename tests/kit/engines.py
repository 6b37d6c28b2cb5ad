"""Which container engines answer on this machine, and what a test does when one does not.

A test that needs an engine is skipped where the engine is absent, unless KUBE_ACTORS_REQUIRE_ENGINES=1 (set where
`.ci/engines` has run): then its absence is a failure, so that a broken set-up cannot pass for a green run.
"""

from __future__ import annotations

import os
import socket
from functools import lru_cache
from typing import Final, Literal

import pytest

from tests.kit import images

Engine = Literal["docker", "podman"]

ENGINES: Final[tuple[Engine, ...]] = ("docker", "podman")
PING_SECONDS: Final = 10.0
DEFAULT_SOCKETS: Final[dict[Engine, str]] = {
    "docker": "/var/run/docker.sock",
    "podman": "/run/podman/podman.sock",
}
HOST_VARIABLES: Final[dict[Engine, str]] = {"docker": "DOCKER_HOST", "podman": "CONTAINER_HOST"}


def engine_socket(engine: Engine) -> str:
    """The unix socket that the engine's own client would use."""
    return os.environ.get(HOST_VARIABLES[engine], DEFAULT_SOCKETS[engine]).removeprefix("unix://")


def _ask(engine: Engine, path: str) -> bytes | None:
    """The head of the engine's answer to one GET; None when nobody answers."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(PING_SECONDS)
        try:
            connection.connect(engine_socket(engine))
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: engine\r\nConnection: close\r\n\r\n".encode())
            return connection.recv(4096)
        except OSError:
            return None


@lru_cache
def missing(engine: Engine) -> str:
    """Why tests cannot use the engine, as one line; empty when they can. Looked up once a run."""
    answer = _ask(engine, "/_ping")
    if answer is None or b" 200 " not in answer[:20]:
        return f"{engine} does not answer at {engine_socket(engine)}"
    for image in images.ALL:
        found = _ask(engine, f"/v1.40/images/{image}/json")
        if found is None or b" 200 " not in found[:20]:
            return f"{engine} has no image {image}; .ci/engines makes it"
    return ""


def docker_available() -> bool:
    return not missing("docker")


def podman_available() -> bool:
    return not missing("podman")


def engines_required() -> bool:
    return os.environ.get("KUBE_ACTORS_REQUIRE_ENGINES") == "1"


def require_engine(engine: Engine) -> None:
    """Call it first in a test or fixture that uses the engine: skips, or fails where engines are required."""
    reason = missing(engine)
    if not reason:
        return
    if engines_required():
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
