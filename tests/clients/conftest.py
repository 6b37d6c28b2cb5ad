"""Fixtures of the tests that run real client libraries: one server for all of them, a namespace for each test."""

from __future__ import annotations

import gc
import itertools
from collections.abc import Iterator

import kubernetes
import pytest

from tests.kit.served import Served, served

_numbers = itertools.count(1)


_LEAVE_SOCKETS = ("test_kopf", "test_python_kr8s", "test_python_kubernetes_asyncio", "test_python_pods")
"""Modules whose libraries (aiohttp, httpx on asyncio) leave TLS connections to the collector of garbage."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What these libraries leave open is told where it is expected, and fails nobody."""
    for item in items:
        if item.path.stem in _LEAVE_SOCKETS:
            item.add_marker(pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"))
            item.add_marker(
                pytest.mark.filterwarnings("ignore:Exception ignored in.*:pytest.PytestUnraisableExceptionWarning")
            )


@pytest.fixture(autouse=True)
def leftovers_are_collected_here(request: pytest.FixtureRequest) -> Iterator[None]:
    """Garbage with sockets in it must not be found in a later test."""
    yield
    if request.path.stem in _LEAVE_SOCKETS:
        gc.collect()


@pytest.fixture(scope="session")
def served_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """An API server over HTTPS in a thread of its own. It lives for the session: starting one per test buys nothing."""
    with served(tmp_path_factory.mktemp("apiserver")) as running:
        yield running


@pytest.fixture
def namespace(served_api: Served) -> str:
    """A fresh namespace, so that tests of one server do not see each other's objects."""
    name = f"test-{next(_numbers)}"
    with kubernetes.config.new_client_from_config(served_api.kubeconfig) as client:
        kubernetes.client.CoreV1Api(client).create_namespace({"metadata": {"name": name}})
    return name
