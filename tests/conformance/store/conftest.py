"""The engines that the store's suite runs against: each opens a store that is empty, or the same one again."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from kube_actors.store import Retention, Store, open_store

Opener = Callable[..., Awaitable[Store]]

ENGINES = ["memory", "sqlite"]
"""For every module here that does not name its own `ENGINES`."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "engine" in metafunc.fixturenames:
        metafunc.parametrize("engine", getattr(metafunc.module, "ENGINES", ENGINES))


@pytest.fixture
async def open_again(engine: str, tmp_path: Path) -> AsyncIterator[Opener]:
    """Opens the engine; a second call shows what a durable engine kept. Closes whatever is open at the end."""
    url = {"memory": "memory", "sqlite": f"sqlite:{tmp_path / 'store.db'}"}[engine]
    opened: list[Store] = []

    async def opener(retention: Retention | None = None) -> Store:
        opened.append(await open_store(url, retention=retention))
        return opened[-1]

    yield opener
    for store in opened:
        await store.aclose()


@pytest.fixture
async def store(open_again: Opener) -> Store:
    return await open_again()
