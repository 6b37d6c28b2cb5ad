"""The engine's daemon dies under a running cluster and comes back: so do its node and pods, and nothing is doubled.

Both daemons are the test's own, so that whoever else uses the machine's engines is left alone: Docker's with a bridge,
a store and a containerd of its own; Podman has no daemon but a service over the machine's one store.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.kit.clusters import Namespace, RunningCluster, deployment, http_get, running_cluster, service, until
from tests.kit.images import BUSYBOX

BRIDGE = "ka-test0"
GATEWAY = "10.98.0.1/24"


class Dockerd:
    """A daemon that may be stopped, killed and started again; in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.url = f"unix://{folder}/docker.sock"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        folder = self._folder
        # A killed daemon leaves numbers behind that may be another process by now, or nobody's child that has ended.
        for left in ("pid", "exec/containerd/containerd.pid"):
            (folder / left).unlink(missing_ok=True)
        words = ["dockerd", "--data-root", f"{folder}/data", "--exec-root", f"{folder}/exec", "--host", self.url]
        words += ["--pidfile", f"{folder}/pid", "--bridge", BRIDGE]
        words += ["--iptables=false", "--ip6tables=false", "--ip-masq=false"]
        with (folder / "log").open("ab") as log:
            self._process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        until(lambda: self.docker("info"), what="our dockerd answers")

    def docker(self, *words: str, stdin: bytes = b"") -> str:
        done = subprocess.run(["docker", "--host", self.url, *words], input=stdin, capture_output=True, check=False)
        return done.stdout.decode() if done.returncode == 0 else ""

    def end(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait()

    def clear(self) -> None:
        """Stop it. Where a test has failed there may be more: what holds containers, and what they have mounted."""
        if self._process is not None and self._process.poll() is None:
            self.end(signal.SIGTERM)
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                if f"{self._folder}/exec".encode() in entry.read_bytes():
                    os.kill(int(entry.parent.name), signal.SIGKILL)
        mounted = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for path in reversed([path for path in mounted if path.startswith(f"{self._folder}/")]):
            subprocess.run(["umount", "--lazy", path], check=False)


@pytest.fixture
def dockerd(tmp_path_factory: pytest.TempPathFactory, docker_engine: str) -> Iterator[Dockerd]:
    daemon = Dockerd(tmp_path_factory.mktemp("d"))
    image = subprocess.run(["docker", "save", BUSYBOX], capture_output=True, check=True).stdout
    ip = ["ip", "link"]
    subprocess.run([*ip, "add", BRIDGE, "type", "bridge"], check=True)
    try:
        subprocess.run(["ip", "address", "add", GATEWAY, "dev", BRIDGE], check=True)
        subprocess.run([*ip, "set", BRIDGE, "up"], check=True)
        daemon.start()
        assert daemon.docker("load", stdin=image)
        yield daemon
    finally:
        daemon.clear()
        subprocess.run([*ip, "delete", BRIDGE], check=True)


@contextmanager
def podman_service(path: Path) -> Iterator[None]:
    """A service of its own over the machine's containers, that a test may kill."""
    environment = {name: value for name, value in os.environ.items() if name != "CONTAINER_HOST"}
    process = subprocess.Popen(
        ["podman", "system", "service", "-t", "0", f"unix://{path}"],
        env=environment,  # with CONTAINER_HOST it would be a client
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until(path.exists, what="podman's socket")
        yield
    finally:
        process.kill()
        process.wait()
        path.unlink(missing_ok=True)


def is_ready(running: RunningCluster) -> bool:
    (node,) = running.cluster.client.list("Node").items
    return any(one.type == "Ready" and one.status == "True" for one in node.status.conditions)


def identities(space: Namespace) -> dict[str, tuple[str, int]]:
    """Every pod's container, and how often it was restarted."""
    statuses = {pod.metadata.name: pod.status.container_statuses[0] for pod in space.pods()}
    return {name: (status.container_id, status.restart_count) for name, status in statuses.items()}


def sleeper(replicas: int) -> dict[str, Any]:
    """A Deployment without probes: the daemon's own bridge leads nowhere."""
    made = deployment(
        replicas, image=BUSYBOX, command=["sh", "-c", "trap 'exit 0' TERM; while true; do sleep 0.1; done"]
    )
    del made["spec"]["template"]["spec"]["containers"][0]["readinessProbe"]
    return made


def test_dockerd_is_stopped_and_killed_under_a_cluster(
    dockerd: Dockerd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", dockerd.url)
    with running_cluster("docker", tmp_path, nodes=1) as running, running.namespace() as space:
        space.apply(sleeper(2))
        space.rolled_out()
        names = set(identities(space))
        for number in (signal.SIGKILL, signal.SIGTERM):
            dockerd.end(number)
            until(lambda: not is_ready(running), what="the node is NotReady")
            dockerd.start()
            until(lambda: is_ready(running), what="the node is Ready again")
            # A daemon that ends takes its containers along: the same pods get new ones, each one sandbox and container.
            until(lambda: len(up_in(dockerd, running)) == 4, what="a sandbox and a container for each pod")
            space.rolled_out()
            assert set(identities(space)) == names
        space.patch("Deployment", "web", {"spec": {"replicas": 3}})
        space.rolled_out()
        until(lambda: len(up_in(dockerd, running)) == 6, what="the daemon is used as before")
        assert all(space.run(name, "echo", "hi") == "hi\n" for name in identities(space))


def up_in(dockerd: Dockerd, running: RunningCluster) -> list[str]:
    """The cluster's running containers, sandboxes among them."""
    listed = dockerd.docker("ps", "--format", '{{.Names}} {{.Label "io.kube-actors.node"}}')
    return [line for line in listed.splitlines() if running.uid in line]


@pytest.mark.podman
def test_podman_dies_and_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "podman.sock"
    monkeypatch.setenv("CONTAINER_HOST", f"unix://{path}")
    first = ExitStack()
    with ExitStack() as services:
        services.enter_context(first)
        first.enter_context(podman_service(path))
        with running_cluster("podman", tmp_path / "data", nodes=1) as running, running.namespace() as space:
            space.apply(deployment(2), service())
            space.rolled_out()
            before = identities(space)
            address = space.address()
            until(lambda: http_get(address, 80), what="it answers")
            first.close()
            assert http_get(address, 80)  # containers and Services go on without the daemon
            until(lambda: not is_ready(running), what="the node is NotReady")
            space.patch("Deployment", "web", {"spec": {"replicas": 3}})
            until(lambda: len(space.pods()) == 3, what="a third pod is asked for")
            services.enter_context(podman_service(path))
            until(lambda: is_ready(running), what="the node is Ready again")
            space.rolled_out(timeout=60)
            after = identities(space)
            assert {name: after[name] for name in before} == before
            names = set(after)
            until(lambda: {http_get(address, 80).split()[0] for _ in range(12)} == names, what="all three answer")
            space.client.delete("Pod", space.pods()[0].metadata.name, namespace=space.name)
            space.rolled_out()
