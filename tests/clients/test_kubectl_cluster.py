"""The installed kubectl against a cluster whose containers are real: what people type, and what they read."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import shutil
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.clusters import (
    REAL,
    Namespace,
    RunningCluster,
    deployment,
    http_get,
    running_cluster,
    until,
)
from tests.kit.images import BUSYBOX, TEST_V1, TEST_V2

pytestmark = [
    pytest.mark.kubectl,
    pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed"),
]

SECONDS = 60


# Everything on Docker; on Podman nearly everything: what it leaves out is the control plane's alone.
EACH_ENGINE = pytest.mark.parametrize("running", REAL, indirect=True)


@pytest.fixture(scope="module", params=REAL[:1])
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCluster]:
    with running_cluster(request.param, tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture
def space(running: RunningCluster) -> Iterator[Namespace]:
    with running.namespace() as namespace:
        yield namespace


class Follower:
    """A kubectl that goes on; its lines are read as they come."""

    def __init__(self, space: Namespace, *words: str) -> None:
        self.lines: list[str] = []
        self._process = subprocess.Popen(
            ["kubectl", "-n", space.name, *words],
            stdout=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            env=space.running.environment,
        )
        self._thread = threading.Thread(target=self._read)

    def saw(self, pattern: str) -> bool:
        until(lambda: re.search(pattern, "".join(list(self.lines))), what=f"{pattern!r} in {self.lines}")
        return True

    def __enter__(self) -> Follower:
        self._thread.start()
        return self

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.append(line)

    def wait(self) -> int:
        return self._process.wait(SECONDS)

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._thread.join()
        assert self._process.stdout is not None
        self._process.stdout.close()


class Terminal:
    """A kubectl that has a terminal, and whoever sits before it."""

    def __init__(self, space: Namespace, *words: str, rows: int = 24, columns: int = 80) -> None:
        self.seen = ""
        self._master, slave = pty.openpty()
        self.resize(rows, columns)
        self._process = subprocess.Popen(
            ["kubectl", "-n", space.name, *words],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=space.running.environment,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(slave)

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def read_until(self, pattern: str) -> str:
        """Read on until the pattern is there; what came up to its end."""
        deadline = time.monotonic() + SECONDS
        while not (found := re.search(pattern, self.seen)):
            left = deadline - time.monotonic()
            assert left > 0, f"{pattern!r} did not come; there was {self.seen!r}"
            if select.select([self._master], [], [], left)[0]:
                try:
                    self.seen += os.read(self._master, 65536).decode(errors="replace")
                except OSError:
                    raise AssertionError(f"{pattern!r} did not come before the end; there was {self.seen!r}") from None
        before, self.seen = self.seen[: found.end()], self.seen[found.end() :]
        return before

    def wait(self) -> int:
        """The exit code of kubectl."""
        return self._process.wait(SECONDS)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._master)


def a_pod(space: Namespace, script: str, name: str = "p", **spec: object) -> str:
    container = {"name": "c", "image": BUSYBOX, "command": ["sh", "-c", script]}
    body = {"containers": [container], "terminationGracePeriodSeconds": 1, **spec}
    space.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": body})
    return name


SLEEP = "trap 'exit 0' TERM; while true; do sleep 0.1; done"


@EACH_ENGINE
def test_create_expose_scale_set_image_rollout(space: Namespace) -> None:
    kubectl = space.kubectl
    kubectl("create", "deployment", "web", f"--image={TEST_V1}", "--replicas=2", "--port=8080")
    told = kubectl("rollout", "status", "deployment/web", "--timeout=60s").stdout
    assert 'deployment "web" successfully rolled out' in told
    kubectl("expose", "deployment", "web", "--port=80", "--target-port=8080")
    address = kubectl("get", "svc", "web", "-o", "jsonpath={.spec.clusterIP}").stdout
    assert until(lambda: http_get(address, 80)).startswith("web-")

    kubectl("scale", "deployment/web", "--replicas=3")
    kubectl("wait", "deployment/web", "--for=jsonpath={.status.readyReplicas}=3", "--timeout=60s")
    rows = kubectl("get", "pods", "-o", "wide", "--no-headers").stdout.splitlines()
    assert len(rows) == 3
    assert all(re.search(r"1/1 +Running +0 .* \d+\.\d+\.\d+\.\d+ +node-[01] ", row) for row in rows), rows
    assert re.search(r"web +3/3 +3 +3 ", kubectl("get", "deploy").stdout)

    kubectl("set", "image", "deployment/web", f"test={TEST_V2}")
    kubectl("annotate", "deployment/web", "kubernetes.io/change-cause=second")
    kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    until(lambda: http_get(address, 80).endswith(" 2"), what="version 2 answers")
    history = kubectl("rollout", "history", "deployment/web").stdout
    assert re.search(r"1 +<none>\n2 +second", history), history
    assert TEST_V1 in kubectl("rollout", "history", "deployment/web", "--revision=1").stdout

    assert "rolled back" in kubectl("rollout", "undo", "deployment/web").stdout
    kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    before = {pod.metadata.name for pod in space.pods()}
    kubectl("rollout", "restart", "deployment/web")
    kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    assert not before & {pod.metadata.name for pod in space.pods()}
    until(lambda: http_get(address, 80).endswith(" 1"), what="version 1 answers")
    described = kubectl("describe", "deployment", "web").stdout
    assert "3 desired | 3 updated | 3 total | 3 available | 0 unavailable" in described
    assert "ScalingReplicaSet" in described
    assert kubectl("delete", "deployment,service", "web").stdout.count("deleted") == 2
    until(lambda: not kubectl("get", "pods", "-o", "name").stdout, what="the pods go with their owner")


@EACH_ENGINE
def test_apply_edit_label_annotate_and_watch(space: Namespace, tmp_path: Path) -> None:
    kubectl = space.kubectl
    manifest = tmp_path / "web.json"
    manifest.write_text(json.dumps(deployment(1)))
    with Follower(space, "get", "pods", "-w") as watch:
        assert kubectl("apply", "-f", str(manifest)).stdout == "deployment.apps/web created\n"
        assert kubectl("apply", "-f", str(manifest)).stdout == "deployment.apps/web unchanged\n"
        for state in ("0/1 +Pending", "0/1 +ContainerCreating", "1/1 +Running"):
            watch.saw(rf"web-\S+ +{state}")
        editor = tmp_path / "editor"
        editor.write_text("#!/bin/sh\nexec sed -i 's/replicas: 1/replicas: 2/' \"$1\"\n")
        editor.chmod(0o755)
        edited = kubectl("edit", "deployment/web", EDITOR=str(editor), KUBE_EDITOR=str(editor))
        assert edited.stdout == "deployment.apps/web edited\n"
        space.rolled_out()
        assert len(space.pods()) == 2
        name = space.pods()[0].metadata.name
        kubectl("label", "pod", name, "app-", "left=yes")
        space.rolled_out()
        assert name not in {pod.metadata.name for pod in space.pods()}
        kubectl("annotate", "pod", name, "note=here")
        assert kubectl("get", "pods", "-l", "left=yes", "-o", "jsonpath={.items[*].metadata.annotations.note}").stdout
        kubectl("delete", "pod", name, "--grace-period=1")
        watch.saw(rf"{name} +[01]/1 +Terminating")
        kubectl("wait", "--for=delete", f"pod/{name}", "--timeout=60s")
    assert 'deployment.apps "web" deleted' in kubectl("delete", "-f", str(manifest)).stdout


@EACH_ENGINE
def test_logs_follow_tail_and_previous(space: Namespace) -> None:
    pod = a_pod(space, "echo life; n=0; while [ ! -e /tmp/end ]; do n=$((n+1)); echo line $n; sleep 0.1; done; exit 4")
    space.wait("pod/p", "Ready")
    with Follower(space, "logs", "-f", pod) as log:
        log.saw(r"life\nline 1\nline 2\n")
        space.kubectl("exec", pod, "--", "touch", "/tmp/end")
        assert log.wait() == 0
    space.wait("pod/p", lambda found: found["status"]["containerStatuses"][0]["restartCount"] == 1)
    previous = space.kubectl("logs", pod, "--previous").stdout
    assert previous.startswith("life\nline 1\n")
    assert previous.splitlines() == [line.strip() for line in log.lines]
    tail = space.kubectl("logs", pod, "--previous", "--tail=1", "--timestamps").stdout
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\S+Z line \d+\n", tail)
    missing = space.kubectl("logs", pod, "-c", "none", check=False)
    assert "container none is not valid for pod p" in missing.stderr


@EACH_ENGINE
def test_exec_without_a_terminal(space: Namespace) -> None:
    pod = a_pod(space, SLEEP)
    space.wait("pod/p", "Ready")
    done = space.kubectl("exec", pod, "--", "sh", "-c", "echo out; echo err >&2; exit 7", check=False)
    assert (done.stdout, done.returncode) == ("out\n", 7)
    assert done.stderr.startswith("err\n")
    assert "command terminated with exit code 7" in done.stderr
    text = "".join(f"row {number}\n" for number in range(20000))
    assert space.kubectl("exec", "-i", pod, "--", "cat", stdin=text).stdout == text
    none = space.kubectl("exec", pod, "--", "/no/such", check=False)
    # The engine's word for it, as a kubelet passes it on; Podman tells no cause beyond its exit code.
    if space.running.engine == "docker":
        assert none.returncode == 126
        assert "no such file" in none.stdout + none.stderr
    else:
        assert none.returncode == 127


@EACH_ENGINE
def test_exec_in_a_terminal(space: Namespace) -> None:
    pod = a_pod(space, SLEEP)
    space.wait("pod/p", "Ready")
    with Terminal(space, "exec", "-it", pod, "--", "sh", rows=30, columns=101) as terminal:
        terminal.read_until("# ")
        terminal.type("test -t 0 && echo is-a-$((40+2))\n")
        terminal.read_until("is-a-42")
        terminal.type("stty size\n")
        terminal.read_until("30 101")
        terminal.resize(41, 99)
        terminal.type("while [ \"$(stty size)\" != '41 99' ]; do sleep 0.05; done; echo re''sized\n")
        terminal.read_until("resized")
        terminal.type("sh -c 'echo be\"\"gun; exec sleep 1000'\n")
        terminal.read_until("begun")
        terminal.type("\x03")
        terminal.read_until("# ")
        terminal.type("echo go''ne-on\n")
        terminal.read_until("gone-on")
        terminal.type("exit 5\n")
        assert terminal.wait() == 5


@EACH_ENGINE
def test_run_and_attach(space: Namespace) -> None:
    done = space.kubectl(
        "run", "once", f"--image={BUSYBOX}", "--restart=Never", "--rm", "-i", "--", "cat", stdin="through attach\n"
    )
    assert "through attach" in done.stdout
    space.wait("pod/once", "Deleted")


@EACH_ENGINE
def test_describe_explain_and_what_there_is(space: Namespace) -> None:
    pod = a_pod(space, SLEEP)
    space.wait("pod/p", "Ready")
    until(lambda: "Started" in space.kubectl("describe", "pod", pod).stdout, what="events")
    described = space.kubectl("describe", "pod", pod).stdout
    for line in (
        r"Name: +p\n",
        r"Node: +node-[01]/",
        r"Status: +Running\n",
        r"IP: +\d+\.\d+\.\d+\.\d+\n",
        rf"Container ID: +{space.running.engine}://[0-9a-f]{{64}}\n",
        r"Image: +kube-actors/busybox:1\n",
        r"Normal +Scheduled .* default-scheduler +Successfully assigned",
        r"Normal +Pulled .* kubelet +Container image \"kube-actors/busybox:1\" already present on machine",
        r"Normal +Created .* kubelet +Container created",
        r"Normal +Started .* kubelet +Container started",
        r"QoS Class: +BestEffort",
    ):
        assert re.search(line, described), (line, described)
    node = space.kubectl("describe", "node", "node-0").stdout
    for line in (
        f"Container Runtime Version: +{space.running.engine}://",
        "Ready +True",
        "KubeletReady",
        "Allocated resources:",
    ):
        assert re.search(line, node), (line, node)
    assert "FIELD: containers" in space.kubectl("explain", "pod.spec.containers").stdout
    assert re.search(r"deployments +deploy +apps/v1 +true +Deployment", space.kubectl("api-resources").stdout)
    assert re.search(r"node-0 +Ready +<none> +\S+ +v1\.36", space.kubectl("get", "nodes").stdout)
    failed = a_pod(space, "exit 1", "bad", restartPolicy="Never")
    space.wait(f"pod/{failed}", "status.phase=Failed")
    assert re.search(r"bad +0/1 +Error +0 ", space.kubectl("get", "pod", failed).stdout)


def test_cordon_drain_uncordon(space: Namespace) -> None:
    kubectl = space.kubectl
    space.apply(deployment(3))
    space.rolled_out()
    kubectl("cordon", "node-0")
    try:
        assert re.search(r"node-0 +Ready,SchedulingDisabled", kubectl("get", "node", "node-0").stdout)
        drained = kubectl("drain", "node-0", "--ignore-daemonsets", "--timeout=60s").stdout
        assert "node/node-0 drained" in drained
        space.rolled_out()
        assert {pod.spec.node_name for pod in space.pods()} == {"node-1"}
    finally:
        kubectl("uncordon", "node-0")
    assert re.search(r"node-0 +Ready ", kubectl("get", "node", "node-0").stdout)


@EACH_ENGINE
def test_cp_and_port_numbers_by_exec(space: Namespace, tmp_path: Path) -> None:
    container = {"name": "c", "image": TEST_V1, "command": ["sleep", "100000"]}
    body = {"containers": [container], "terminationGracePeriodSeconds": 1}
    space.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": body})
    space.wait("pod/p", "Ready")
    source, back = tmp_path / "source", tmp_path / "back"
    source.write_bytes(bytes(range(256)) * 1000)
    space.kubectl("cp", str(source), "p:/tmp/copied")
    space.kubectl("cp", "p:/tmp/copied", str(back))
    assert back.read_bytes() == source.read_bytes()


def test_an_image_that_cannot_be_pulled_is_told(space: Namespace) -> None:
    space.kubectl("run", "absent", "--image=kube-actors/absent:1")
    until(lambda: re.search(r"(ErrImagePull|ImagePullBackOff)", space.kubectl("get", "pods").stdout), what="the state")
    until(lambda: "Failed to pull image" in space.kubectl("describe", "pod", "absent").stdout, what="the event")


def test_a_claim_waits_for_its_pod_and_kubectl_says_so(space: Namespace) -> None:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "5Mi"}}}
    space.apply({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"}, "spec": spec})
    first = "waiting for first consumer to be created before binding"
    until(lambda: first in space.kubectl("describe", "pvc", "data").stdout, what="the claim's event")
    volumes = [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]
    a_pod(space, "while true; do sleep 0.1; done", volumes=volumes)
    space.kubectl("wait", "pvc/data", "--for=jsonpath={.status.phase}=Bound", f"--timeout={SECONDS}s")
    space.kubectl("wait", "pod/p", "--for=condition=Ready", f"--timeout={SECONDS}s")
    (line,) = space.kubectl("get", "pvc", "--no-headers").stdout.splitlines()
    name, phase, volume, size, modes, storage_class, *_ = line.split()
    assert (name, phase, size, modes, storage_class) == ("data", "Bound", "5Mi", "RWO", "local-path")
    assert volume.startswith("pvc-")
    told = space.kubectl("describe", "pvc", "data").stdout
    assert f"Successfully provisioned volume {volume}" in told
    assert re.search(r"Used By: +p\n", told)
