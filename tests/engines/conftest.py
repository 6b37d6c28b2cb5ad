"""Fixtures of the tests that run on real engines. What an engine keeps is labelled, found again and removed."""

from __future__ import annotations

import pytest

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
