"""Fixtures of the tests that run real client libraries: one server for all of them, a namespace for each test."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import kubernetes
import pytest

from tests.kit.served import Served, served

_numbers = itertools.count(1)


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
