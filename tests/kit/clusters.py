"""A whole cluster in a thread of its own, looked at from outside: by sockets, kubectl and the engine's own program.

Every test gets a namespace of its own; at the end of a cluster nothing of it may be left in its engine.
"""

from __future__ import annotations

import itertools
import os
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest

from kube_actors import blocking
from kube_actors.api.errors import ApiError
from kube_actors.assembly.config import AddressConfig
from tests.kit.engines import require_engine
from tests.kit.images import SERVE_PORT, TEST_V1

RUNTIMES = [
    "simulated",
    pytest.param("docker", marks=pytest.mark.docker),
    pytest.param("podman", marks=pytest.mark.podman),
]
REAL = RUNTIMES[1:]
PATIENCE_SECONDS = 40.0
PAUSE_SECONDS = 0.03

T = TypeVar("T")
_numbers = itertools.count(1)


def until(ask: Callable[[], T], *, what: str = "", seconds: float = PATIENCE_SECONDS) -> T:
    """Ask again and again until the answer is true; the answer. Fails with the last one, or what it raised."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while True:
        try:
            answer: Any = ask()
        except (ApiError, AssertionError, OSError) as error:
            answer, last = None, repr(error)
        else:
            last = repr(answer)
        if answer:
            found: T = answer
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"{what or ask}: not within {seconds:g} s; last: {last}")
        pause.wait(PAUSE_SECONDS)


def http_get(address: str, port: int, path: str = "/", *, seconds: float = 5.0) -> str:
    """The body that a GET over a connection of its own gives. Raises OSError when there is no whole answer."""
    with socket.create_connection((address, port), timeout=seconds) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n".encode())
        received = b""
        while data := connection.recv(65536):
            received += data
    head, _, body = received.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise OSError(f"answered {head[:60]!r}")
    return body.decode().strip()


class Load:
    """Steady requests from a few threads, each over a connection of its own; what fails is kept word for word."""

    def __init__(self, address: str, port: int, *, threads: int = 3) -> None:
        self.answers: Counter[str] = Counter()
        self.failures: list[str] = []
        self._address, self._port = address, port
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._go_on) for _ in range(threads)]

    def _go_on(self) -> None:
        while not self._over.wait(0.005):
            try:
                self.answers[http_get(self._address, self._port)] += 1
            except OSError as error:
                self.failures.append(f"{time.monotonic():.3f} {error!r}")

    @property
    def versions(self) -> set[str]:
        return {answer.split()[-1] for answer in list(self.answers)}

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()


class Namespace:
    """One test's part of a cluster."""

    def __init__(self, running: RunningCluster, name: str) -> None:
        self.running = running
        self.cluster = running.cluster
        self.client = running.cluster.client
        self.name = name

    def apply(self, *objects: dict[str, Any]) -> None:
        self.cluster.apply(list(objects), namespace=self.name)

    def wait(self, argument: str, what: Any = "Exists", *, timeout: float = PATIENCE_SECONDS) -> dict[str, Any]:
        found: dict[str, Any] = self.cluster.wait(argument, what, timeout=timeout, namespace=self.name)
        return found

    def get(self, kind: str, name: str) -> Any:
        return self.client.get(kind, name, namespace=self.name)

    def pods(self, selector: str = "app=web") -> list[Any]:
        """The pods that are there to stay."""
        found = self.client.list("Pod", namespace=self.name, label_selector=selector)
        return [pod for pod in found.items if pod.metadata.deletion_timestamp is None]

    def patch(self, kind: str, name: str, patch: Any) -> Any:
        return self.client.patch(kind, name, patch, namespace=self.name)

    def rolled_out(self, name: str = "web", *, timeout: float = PATIENCE_SECONDS) -> None:
        try:
            self.wait(f"deployment/{name}", _rolled_out, timeout=timeout)
        except TimeoutError as error:
            raise AssertionError(f"{error}\n{self.account()}") from None

    def account(self) -> str:
        """What the namespace's pods are up to, and their stories; for the message of a failure."""
        told = []
        for pod in self.client.list("Pod", namespace=self.name).items:
            metadata = pod.metadata
            told.append(f"{metadata.name} on {pod.spec.node_name}, deleted {metadata.deletion_timestamp}: {pod.status}")
            told.append(self.cluster.cluster.story(metadata.uid))
        return "\n".join(told)

    def run(self, pod: str, *command: str, container: str = "") -> str:
        """What a command in a pod says; it must succeed."""
        more = {"container": container} if container else {}
        done = self.client.run(pod, list(command), namespace=self.name, **more)
        assert done.exit_code == 0, done
        output: str = done.stdout if isinstance(done.stdout, str) else done.stdout.decode()
        return output

    def kubectl(self, *words: str, **how: Any) -> subprocess.CompletedProcess[str]:
        return self.running.kubectl("-n", self.name, *words, **how)

    def address(self, service: str = "web") -> str:
        address: str = self.get("Service", service).spec.cluster_ip
        return address

    def kill_container(self, pod: Any) -> None:
        """Kill the first container's process as a fault would: on an engine from outside, over the pod's head."""
        if self.running.engine == "simulated":
            self.client.run(pod.metadata.name, ["kill", "-9", "1"], namespace=self.name)
            return
        identity = pod.status.container_statuses[0].container_id.partition("://")[2]
        subprocess.run([self.running.engine, "kill", identity], check=True, capture_output=True)


class RunningCluster:
    """A cluster of nodes on an engine, served on loopback."""

    def __init__(self, cluster: blocking.Cluster, engine: str) -> None:
        self.cluster = cluster
        self.engine = engine
        self.uid = cluster.client.get("Namespace", "kube-system").metadata.uid

    @property
    def real(self) -> bool:
        return self.engine != "simulated"

    def kubectl(
        self, *words: str, stdin: str | None = None, check: bool = True, seconds: float = 60, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            ["kubectl", *words],
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            timeout=seconds,
            env=self.environment | environment,
        )
        assert not check or done.returncode == 0, (words, done.stdout, done.stderr)
        return done

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "KUBECONFIG": str(self.cluster.kubeconfig)}

    def containers(self) -> list[str]:
        """What the engine has of this cluster, running or not."""
        return containers_of(self.engine, self.uid) if self.real else []

    @contextmanager
    def namespace(self) -> Iterator[Namespace]:
        """A namespace in which pods can be made; deleted afterwards, and its containers gone."""
        name = f"test-{next(_numbers)}"
        self.cluster.client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        self.cluster.wait("serviceaccount/default", namespace=name)
        try:
            yield Namespace(self, name)
        finally:
            pods = self.cluster.client.list("Pod", namespace=name).items
            self.cluster.client.delete("Namespace", name)
            for pod in pods:
                try:
                    self.cluster.client.delete("Pod", pod.metadata.name, namespace=name, grace_seconds=1)
                except ApiError as error:
                    assert error.is_not_found
            self.cluster.wait(f"namespace/{name}", "Deleted", timeout=PATIENCE_SECONDS)


def containers_of(engine: str, uid: str) -> list[str]:
    # A label's value cannot be matched in part by the engines; the names of the nodes follow the cluster's UID in it.
    form = '{{.ID}} {{.Names}} {{.Label "io.kube-actors.node"}}'
    if engine == "podman":
        form = '{{.ID}} {{.Names}} {{index .Labels "io.kube-actors.node"}}'
    listed = subprocess.run([engine, "ps", "-a", "--format", form], capture_output=True, text=True, check=True)
    return [line for line in listed.stdout.splitlines() if uid in line]


@contextmanager
def running_cluster(engine: str, directory: Path, *, nodes: int = 2, **options: Any) -> Iterator[RunningCluster]:
    """A cluster on this engine. What it leaves behind in the engine fails whoever used it."""
    if engine != "simulated":
        require_engine(engine)  # type: ignore[arg-type]
        # Clusters of tests that overlap, also of another run's, and one that the developer runs, must not share a
        # Service range: packets would go to whoever came first.
        run = os.getpid()
        services = f"10.{100 + run % 20}.{(run // 20 + next(_numbers)) % 250}.0/24"
        options.setdefault("addresses", AddressConfig(services=services))
    options.setdefault("listen", "127.0.0.1:0")
    with blocking.Cluster(nodes=nodes, runtime=engine, data_dir=str(directory), **options) as cluster:
        running = RunningCluster(cluster, engine)
        yield running
    if running.real:
        assert containers_of(engine, running.uid) == []


def deployment(replicas: int = 3, *, name: str = "web", image: str = TEST_V1, **container: Any) -> dict[str, Any]:
    """A Deployment of the test server, with a readiness probe."""
    probe = {"httpGet": {"path": "/healthz", "port": SERVE_PORT}, "periodSeconds": 1}
    ports = [{"containerPort": SERVE_PORT}]
    main = {"name": "web", "image": image, "ports": ports, "readinessProbe": probe, **container}
    labels = {"app": name}
    pod = {"containers": [main], "terminationGracePeriodSeconds": 10}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def service(*, name: str = "web", port: int = 80, protocol: str = "TCP", **spec: Any) -> dict[str, Any]:
    ports = [{"port": port, "targetPort": SERVE_PORT, "protocol": protocol}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": ports, **spec},
    }


def _rolled_out(found: Any) -> bool:
    status, wanted = found.get("status") or {}, found["spec"]["replicas"]
    current = status.get("observedGeneration") == found["metadata"]["generation"]
    counts = [status.get(field, 0) for field in ("replicas", "updatedReplicas", "availableReplicas")]
    return bool(current and counts == [wanted] * 3)
