"""The engines that the store's suite runs against: each opens a store that is empty, or the same one again."""

import itertools
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import httpx
import pytest

from kube_actors.store import Retention, Store, open_store
from tests.kit.polling import wait_until

Opener = Callable[..., Awaitable[Store]]

ENGINES = ["memory", "sqlite", "etcd"]
"""For every module here that does not name its own `ENGINES`."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "engine" in metafunc.fixturenames:
        metafunc.parametrize("engine", getattr(metafunc.module, "ENGINES", ENGINES))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Etcd:
    """A real etcd on free ports, that a test may kill and start again."""

    def __init__(self, folder: Path) -> None:
        program = shutil.which("etcd")
        if program is None:
            pytest.skip("there is no etcd program")
        self.url, peers = f"http://127.0.0.1:{free_port()}", f"http://127.0.0.1:{free_port()}"
        self._arguments = [program, "--data-dir", str(folder / "data"), "--unsafe-no-fsync"]
        self._arguments += ["--listen-client-urls", self.url, "--advertise-client-urls", self.url]
        self._arguments += ["--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers]
        self._arguments += ["--initial-cluster", f"default={peers}"]
        self._log = folder / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        with open(self._log, "ab") as log:
            self._process = subprocess.Popen(self._arguments, stdout=log, stderr=log)
        wait_until(self._up, "etcd answers")

    def _up(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._log.read_text()
        return self._healthy()

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _healthy(self) -> bool:
        try:
            return bool(httpx.get(f"{self.url}/health", trust_env=False).json() == {"health": "true"})
        except httpx.TransportError:
            return False


@pytest.fixture(scope="session")
def etcd_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One etcd for the whole session; each test has a root of its own in it."""
    etcd = Etcd(tmp_path_factory.mktemp("etcd"))
    yield etcd.url
    etcd.kill()


@pytest.fixture
def own_etcd(tmp_path: Path) -> Iterator[Etcd]:
    """One for this test alone."""
    etcd = Etcd(tmp_path)
    yield etcd
    etcd.kill()


ROOTS = itertools.count()


@pytest.fixture
async def open_again(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Opener]:
    """Opens the engine; a second call shows what a durable engine kept. Closes whatever is open at the end."""
    url = {"memory": "memory", "sqlite": f"sqlite:{tmp_path / 'store.db'}"}.get(engine, "")
    if engine == "etcd":
        url = f"etcd:{request.getfixturevalue('etcd_url')}/root-{next(ROOTS)}"
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
