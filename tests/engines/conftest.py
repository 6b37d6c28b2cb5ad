"""Fixtures of the tests that run on real engines. What an engine keeps is labelled, found again and removed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.kit.clusters import RUNTIMES, Namespace, RunningCluster, running_cluster
from tests.kit.engines import ENGINES, Engine, require_engine


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A test marked `docker` or `podman` needs that engine; nothing else has to be said in it."""
    for engine in ENGINES:
        if item.get_closest_marker(engine) is not None:
            require_engine(engine)


@pytest.fixture(params=[pytest.param(engine, marks=getattr(pytest.mark, engine)) for engine in ENGINES])
def engine(request: pytest.FixtureRequest) -> Engine:
    """The name of each real engine in turn."""
    name: Engine = request.param
    return name


@pytest.fixture
def docker_engine() -> Engine:
    require_engine("docker")
    return "docker"


@pytest.fixture
def podman_engine() -> Engine:
    require_engine("podman")
    return "podman"


@pytest.fixture(scope="module", params=RUNTIMES)
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCluster]:
    """A whole cluster on each engine in turn, one for all tests of a module. `REAL` with indirect=True leaves out the
    simulated one."""
    with running_cluster(request.param, tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture
def space(running: RunningCluster) -> Iterator[Namespace]:
    """A namespace of the test's own in that cluster."""
    with running.namespace() as namespace:
        yield namespace
