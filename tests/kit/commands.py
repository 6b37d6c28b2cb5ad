"""`kube-actors` as its users run it: processes of their own, with a deadline on every wait and nobody left behind."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio
from msgspec import structs

from kube_actors.actors import System
from kube_actors.client import Client, HTTPTransport, load_config

PROGRAM = Path(sys.executable).with_name("kube-actors")
DEADLINE_SECONDS = 40.0
POLL_SECONDS = 0.05
READY = re.compile(r"ready (https://\S+) kubeconfig=(\S+)")


class Command:
    """A running `kube-actors`, and all that it has said."""

    def __init__(self, process: trio.Process) -> None:
        self.process = process
        self.out: list[str] = []
        self.err: list[str] = []
        self._heard = trio.Event()

    async def listen(self, stream: Any, lines: list[str]) -> None:
        """Take the process's lines as they come."""
        rest = b""
        async for part in stream:
            *whole, rest = (rest + part).split(b"\n")
            lines += [line.decode() for line in whole]
            self._heard.set()
        lines += [rest.decode()] if rest else []
        self._heard.set()

    async def said(self, text: str) -> str:
        """The first line, on stdout or stderr, in which the text stands."""
        with trio.move_on_after(DEADLINE_SECONDS):
            while True:
                for line in [*self.out, *self.err]:
                    if text in line:
                        return line
                self._heard = trio.Event()
                if self.process.poll() is not None:
                    break
                with trio.move_on_after(1):
                    await self._heard.wait()
        raise AssertionError(f"{text!r} was never said; said was {self.out} {self.err}")

    async def ready(self) -> tuple[str, Path]:
        """URL and kubeconfig of an `up`."""
        match = READY.fullmatch(await self.said("ready https://"))
        assert match is not None
        return match[1], Path(match[2])

    async def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Send a signal; the exit code."""
        self.process.send_signal(number)
        return await self.ended()

    async def kill(self) -> None:
        assert await self.stop(signal.SIGKILL) == -signal.SIGKILL

    async def ended(self) -> int:
        with trio.fail_after(DEADLINE_SECONDS):
            return await self.process.wait()


@asynccontextmanager
async def command(*arguments: str, home: Path, env: Mapping[str, str] | None = None) -> AsyncIterator[Command]:
    """Run `kube-actors` for as long as the block; killed at its end if it still runs then."""
    process = await trio.lowlevel.open_process(
        [str(PROGRAM), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=_environment(home, env),
    )
    running = Command(process)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(running.listen, process.stdout, running.out)
        nursery.start_soon(running.listen, process.stderr, running.err)
        try:
            yield running
        finally:
            if process.poll() is None:
                process.kill()
            with trio.CancelScope(shield=True):
                await process.wait()  # its last lines are read then: the nursery waits for both ends of file


@asynccontextmanager
async def up(
    directory: Path, *arguments: str, nodes: int = 1, env: Mapping[str, str] | None = None
) -> AsyncIterator[Command]:
    """`kube-actors up` on a free port with simulated nodes, its data in `directory`."""
    words = ("up", "--runtime", "simulated", "--listen", "127.0.0.1:0", "--data-dir", str(directory))
    async with command(*words, "--nodes", str(nodes), *arguments, home=directory.parent, env=env) as running:
        yield running


async def refused(*arguments: str, home: Path, env: Mapping[str, str] | None = None, code: int = 1) -> str:
    """Run something that must end by itself with one line on stderr; that line."""
    with trio.fail_after(DEADLINE_SECONDS):
        done = await trio.run_process(
            [str(PROGRAM), *arguments],
            capture_stdout=True,
            capture_stderr=True,
            check=False,
            env=_environment(home, env),
        )
    lines = done.stderr.decode().splitlines()
    assert (done.returncode, done.stdout) == (code, b""), (done, lines)
    assert len(lines) == 1, lines
    assert lines[0].startswith("kube-actors: "), lines
    return lines[0].removeprefix("kube-actors: ")


async def kubectl(kubeconfig: Path, *arguments: str, stdin: str = "") -> str:
    """What the installed kubectl prints; it must succeed."""
    with trio.fail_after(DEADLINE_SECONDS):
        done = await trio.run_process(
            ["kubectl", f"--kubeconfig={kubeconfig}", f"--cache-dir={kubeconfig.parent / 'cache'}", *arguments],
            stdin=stdin.encode(),
            capture_stdout=True,
            capture_stderr=True,
            check=False,
        )
    assert done.returncode == 0, f"kubectl {arguments}: {done.stdout.decode()}{done.stderr.decode()}"
    return done.stdout.decode()


@asynccontextmanager
async def client_of(kubeconfig: Path, *, token: str = "") -> AsyncIterator[Client]:
    """Our own client over HTTPS; with a token instead of the kubeconfig's certificate if one is given."""
    config = load_config(kubeconfig)
    if token:
        config = structs.replace(config, token=token, client_certificate=b"", client_key=b"")
    async with HTTPTransport(config, System().entropy) as transport:
        yield Client(transport)


def with_user(kubeconfig: Path, user: Mapping[str, Any], path: Path, *, server: str = "") -> Path:
    """A copy of a kubeconfig with other credentials, and perhaps another server."""
    document = json.loads(kubeconfig.read_text())
    document["users"][0]["user"] = dict(user)
    if server:
        document["clusters"][0]["cluster"]["server"] = server
    path.write_text(json.dumps(document))
    return path


def left_in(directory: Path) -> Sequence[str]:
    """Temporary directories of ours that a process left there."""
    return [child.name for child in directory.iterdir() if child.name.startswith("kube-actors-")]


def _environment(home: Path, extra: Mapping[str, str] | None) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "VIRTUAL_ENV") if name in os.environ}
    return {**kept, "HOME": str(home), "PYTHONWARNINGS": "default", **(extra or {})}
