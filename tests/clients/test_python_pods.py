"""What the Python clients do with running pods of a whole cluster: Available Deployments, logs, exec.

The pods are simulated; whether real containers do the same is for tests/engines. Here it is the wire that counts: each
library brings its own WebSocket client.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator

import kr8s.asyncio
import pytest
from kr8s.asyncio.objects import Pod as Kr8sPod
from kubernetes import client as official
from kubernetes import config as official_config
from kubernetes.stream import stream
from kubernetes_asyncio import client as aio
from kubernetes_asyncio import config as aio_config
from kubernetes_asyncio.stream import WsApiClient
from lightkube import Client, KubeConfig
from lightkube.resources.apps_v1 import Deployment
from lightkube.resources.core_v1 import Pod

from kube_actors.blocking import Cluster

# lightkube leaves the socket of a finished exec to the garbage collector, aiohttp its TLS connections to a loop that
# has ended by then. Both are collected while a test of this module runs, where they are expected.
pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:Exception ignored in.*ocket:pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:Exception ignored in.*ransport:pytest.PytestUnraisableExceptionWarning"),
]

SECONDS = 30
COMMAND = ["sh", "-c", "echo out; echo err >&2; exit 3"]

MANIFEST = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web"},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {
                "containers": [{"name": "web", "image": "web:1", "command": ["sh", "-c", "echo hello; sleep 1000"]}]
            },
        },
    },
}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster(nodes=1, listen="127.0.0.1:0") as running:
        running.apply(MANIFEST)
        running.wait("deployment/web", "Available", timeout=SECONDS)
        yield running


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    yield
    gc.collect()


@pytest.fixture
def pod(cluster: Cluster) -> str:
    names = [pod.metadata.name for pod in cluster.client.list("Pod", namespace="default").items]
    return str(names[0])


def test_the_official_client(cluster: Cluster, pod: str) -> None:
    with official_config.new_client_from_config(cluster.kubeconfig) as connection:
        core = official.CoreV1Api(connection)
        assert core.read_namespaced_pod_log(pod, "default") == "hello\n"
        session = stream(
            core.connect_get_namespaced_pod_exec,
            pod,
            "default",
            command=COMMAND,
            stdout=True,
            stderr=True,
            _preload_content=False,
        )
        session.run_forever(timeout=SECONDS)
        assert (session.read_stdout(), session.read_stderr(), session.returncode) == ("out\n", "err\n", 3)
        session.close()


def test_kubernetes_asyncio(cluster: Cluster, pod: str) -> None:
    async def scenario() -> None:
        await aio_config.load_kube_config(cluster.kubeconfig)
        async with aio.ApiClient() as connection, asyncio.timeout(SECONDS):
            assert await aio.CoreV1Api(connection).read_namespaced_pod_log(pod, "default") == "hello\n"
        async with WsApiClient() as sessions, asyncio.timeout(SECONDS):
            answer = await aio.CoreV1Api(sessions).connect_get_namespaced_pod_exec(
                pod, "default", command=["echo", "hi"], stderr=True, stdin=False, stdout=True, tty=False
            )
            assert answer == "hi\n"

    asyncio.run(scenario())


def test_lightkube(cluster: Cluster, pod: str) -> None:
    with Client(KubeConfig.from_file(str(cluster.kubeconfig)).get(), namespace="default", trust_env=False) as client:
        status = client.get(Deployment, "web").status
        assert status is not None and status.availableReplicas == 2
        assert client.get(Pod, pod).metadata is not None
        assert list(client.log(pod)) == ["hello\n"]
        answer = client.exec(pod, command=COMMAND, stdout=True, stderr=True, timeout=SECONDS)
        assert (answer.stdout, answer.stderr, answer.exit_code) == ("out\n", "err\n", 3)


@pytest.mark.filterwarnings("ignore:Kubernetes version v1.36:UserWarning")
def test_kr8s(cluster: Cluster, pod: str) -> None:
    async def scenario() -> None:
        api = await kr8s.asyncio.api(kubeconfig=cluster.kubeconfig, namespace="default")
        try:
            async with asyncio.timeout(SECONDS):
                found = await Kr8sPod.get(pod, api=api)
                assert await found.ready()
                assert [line async for line in found.logs()] == ["hello"]
                done = await found.exec(["echo", "hi"])
                assert (done.stdout, done.returncode) == (b"hi\n", 0)
        finally:
            await api._session.aclose()

    asyncio.run(scenario())
