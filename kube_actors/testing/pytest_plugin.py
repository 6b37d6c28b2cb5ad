"""Pytest plugin: the fixture `kube_cluster`, a fresh cluster for one test, served on loopback.

    def test_it(kube_cluster):
        kube_cluster.apply("app.yaml")
        kube_cluster.wait("deployment/web", "Available")
        subprocess.run(["kubectl", "--kubeconfig", kube_cluster.kubeconfig, "get", "pods"])

    @pytest.mark.kube_cluster(nodes=3)          # options are those of kube_actors.Cluster
    def test_spread(kube_cluster): ...

Loaded in every pytest run of whoever has kube_actors installed, so it imports nothing until the fixture is used. A trio
test opens `kube_actors.Cluster` itself, in its own loop.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from kube_actors.blocking import Cluster

MARKER = "kube_cluster"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", f"{MARKER}(**options): options of the cluster that the fixture kube_cluster starts"
    )


@pytest.fixture
def kube_cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A running cluster of one simulated node, with `kubeconfig` and `server` filled; stopped after the test."""
    from kube_actors.blocking import Cluster  # lazy: only tests that use it pay

    options = {"nodes": 1, "listen": "127.0.0.1:0"}
    for mark in reversed(list(request.node.iter_markers(MARKER))):
        options.update(mark.kwargs)
    with Cluster(**options) as cluster:
        yield cluster
