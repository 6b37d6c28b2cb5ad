"""What the tests of all components share: each that reaches an API server runs over both transports."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.kit.transports import TRANSPORTS, over

COMPONENTS = {"client", "scheduler", "controllers", "kubelet", "kubeproxy", "cloud"}
# A test in virtual time that knows one of these reaches the in-process API server.
SERVERS = {"running_apiserver", "running", "a_world", "world"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if metafunc.definition.path.parent.name not in COMPONENTS or "autojump_clock" not in metafunc.fixturenames:
        return
    if "api" in metafunc.fixturenames or SERVERS & vars(metafunc.module).keys():
        metafunc.fixturenames.append("any_transport")
        metafunc.parametrize("any_transport", TRANSPORTS, indirect=True)


@pytest.fixture
def any_transport(request: pytest.FixtureRequest) -> Iterator[str]:
    """Which transport the test's clients use."""
    with over(request.param):
        yield request.param
