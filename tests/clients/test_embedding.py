"""Clusters in programs that are not trio's: synchronous ones, several threads, asyncio, pytest; and the guided demo."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import trio

from kube_actors import blocking
from kube_actors.api.errors import ApiError
from kube_actors.assembly.config import ConfigError
from kube_actors.assembly.waiting import WaitTimeout

SECONDS = 30


def config_map(name: str) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"who": name}}


def test_a_synchronous_program_has_a_cluster_for_the_length_of_a_block() -> None:
    with blocking.Cluster(nodes=2) as cluster:
        made = cluster.apply([config_map("a"), config_map("b")])
        assert [each.metadata.name for each in made] == ["a", "b"]
        assert cluster.client.get("ConfigMap", "a", namespace="default").data == {"who": "a"}
        assert len(cluster.client.list("Node").items) == 2
        with pytest.raises(ApiError) as raised:
            cluster.client.get("ConfigMap", "c", namespace="default")
        assert raised.value.is_not_found
        assert cluster.kubeconfig is None and cluster.server is None
    with pytest.raises(trio.RunFinishedError):
        cluster.client.get("ConfigMap", "a", namespace="default")


def test_several_threads_share_a_cluster() -> None:
    with blocking.Cluster(nodes=0) as cluster, ThreadPoolExecutor(8) as threads:
        names = [f"c{number}" for number in range(40)]
        list(threads.map(lambda name: cluster.apply(config_map(name)), names))
        found = cluster.client.list("ConfigMap", namespace="default", field_selector="metadata.name!=kube-root-ca.crt")
        assert sorted(each.metadata.name for each in found.items) == sorted(names)


def test_an_asyncio_program_asks_through_a_thread() -> None:
    async def main(cluster: blocking.Cluster) -> list[str]:
        made = await asyncio.gather(*(asyncio.to_thread(cluster.apply, config_map(f"c{n}")) for n in range(10)))
        return [each.metadata.name for (each,) in made]

    with blocking.Cluster(nodes=0) as cluster:
        assert asyncio.run(main(cluster)) == [f"c{n}" for n in range(10)]


def test_async_functions_run_in_the_cluster() -> None:
    with blocking.Cluster(nodes=0) as cluster:

        async def first_event() -> str:
            async with cluster.cluster.client.watch("ConfigMap", namespace="default") as events:
                async for event in events:
                    if event.object.metadata.name == "seen":
                        return str(event.type)
            raise AssertionError

        cluster.apply(config_map("seen"))
        assert cluster.call(first_event) == "ADDED"


def test_what_a_cluster_cannot_be_is_told_before_it_starts() -> None:
    with pytest.raises(ConfigError, match="nodes: -1 is negative"):
        blocking.Cluster(nodes=-1)
    with pytest.raises(RuntimeError, match="use it in a with block"):
        blocking.Cluster(nodes=0).apply(config_map("a"))


def test_waiting_in_vain_says_how_it_is_instead() -> None:
    with blocking.Cluster(nodes=0) as cluster:
        with pytest.raises(WaitTimeout, match=r"configmap/none is not Exists after 0.05 s: there is no such object"):
            cluster.wait("configmap/none", "Exists", timeout=0.05)


def test_a_failure_of_the_block_comes_out_as_it_is_and_the_cluster_is_stopped() -> None:
    with pytest.raises(ZeroDivisionError):
        with blocking.Cluster(nodes=1) as cluster:
            raise ZeroDivisionError
    assert not cluster._thread.is_alive()


FIXTURE_TEST = """
import subprocess
import pytest

seen = []

@pytest.mark.kube_cluster(nodes=2)
def test_first(kube_cluster):
    assert len(kube_cluster.client.list("Node").items) == 2
    assert kube_cluster.server.startswith("https://127.0.0.1:")
    kube_cluster.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}})
    seen.append(kube_cluster.kubeconfig)

def test_second_has_a_fresh_one(kube_cluster):
    assert len(kube_cluster.client.list("Node").items) == 1
    found = kube_cluster.client.list("ConfigMap", namespace="default").items
    assert [each.metadata.name for each in found] == ["kube-root-ca.crt"]
    assert kube_cluster.kubeconfig not in seen
"""


def test_the_fixture_gives_every_test_a_fresh_cluster(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(FIXTURE_TEST)
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False, timeout=SECONDS)
    assert "2 passed" in done.stdout, done.stdout + done.stderr


def run_command(*words: str, home: Path) -> str:
    command = [sys.executable, "-c", "import sys; from kube_actors.cli import main; sys.exit(main())", *words]
    environment = {**os.environ, "HOME": str(home)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=2 * SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_demo_loses_no_request_and_leaves_nothing(tmp_path: Path) -> None:
    told = run_command("demo", home=tmp_path)
    assert ", 0 failed (v1:" in told, told
    assert told.rstrip().endswith("stopped; nothing is left behind")
    assert list(tmp_path.iterdir()) == []


def test_the_bench_writes_its_figures_for_machines(tmp_path: Path) -> None:
    told = run_command("bench", "startup", "--rounds", "1", "--json", str(tmp_path / "figures.json"), home=tmp_path)
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["Cluster() to 3 nodes Ready (ms)"] > 0
    assert all(name in told for name in figures)
