"""Runs the few commands that a simulated container understands, in virtual time and without a process.

This is a simulation and says so: `sh` with lists, loops and redirections, the commands in `commands`, and a private
file system of remembered texts over the container's mounts, which are read from the host. What is none of these
raises Unsupported before anything runs, so that the caller can treat it as a program whose inside is unknown.
It never writes to the host.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import trio

from runtimes.contract import STDERR, STDOUT, Mount
from runtimes.simulated import syntax
from runtimes.simulated.syntax import Unsupported

__all__ = ["INTERRUPTED", "ShellExit", "Surroundings", "Unsupported", "run_command", "run_or_say_why", "supports"]

INTERRUPTED = 130
_NOT_EXECUTABLE = 126
_NOT_FOUND = 127

_LEAST_LOOP_SECONDS = 0.001  # a loop without a sleep in it must not stop virtual time
_MAX_FILE_BYTES = 1 << 20
_SHELLS = ("sh", "/bin/sh", "bash", "/bin/bash", "ash", "/bin/ash", "dash", "/bin/dash")


class ShellExit(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Pipes(Protocol):
    """The input and output of a command."""

    async def read(self) -> bytes: ...

    async def write(self, stream: int, data: bytes) -> None: ...


class Surroundings:
    """What a command finds in its container. `files` and `mounts` are shared by all commands of the container."""

    def __init__(
        self,
        *,
        hostname: str,
        environment: Mapping[str, str],
        files: dict[str, bytes],
        mounts: Sequence[Mount] = (),
        directory: str = "/",
        user: str = "root",
    ) -> None:
        self.hostname = hostname
        self.environment = dict(environment)
        self.files = files
        self.mounts = sorted(mounts, key=lambda mount: -len(mount.container_path))
        self.directory = directory or "/"
        self.user = user
        self.traps: dict[str, str] = {}
        self.kill: Callable[[str], None] | None = None
        self.terminal = False
        self.interactive = False
        self.foreground: trio.CancelScope | None = None
        """What an interactive shell is running; Ctrl-C ends it and not the shell."""

    def resolve(self, path: str) -> str:
        joined = path if path.startswith("/") else f"{self.directory.rstrip('/')}/{path}"
        parts: list[str] = []
        for part in joined.split("/"):
            if part == "..":
                parts = parts[:-1]
            elif part not in ("", "."):
                parts.append(part)
        return "/" + "/".join(parts)

    def on_host(self, path: str) -> Path | None:
        for mount in self.mounts:
            inside = mount.container_path.rstrip("/")
            if path == inside or path.startswith(inside + "/"):
                return Path(mount.host_path + path[len(inside) :])
        return None

    def read_file(self, name: str) -> bytes | None:
        path = self.resolve(name)
        if path in self.files:
            return self.files[path]
        host = self.on_host(path)
        if host is not None and host.is_file():
            with host.open("rb") as file:
                return file.read(_MAX_FILE_BYTES)
        return None

    def exists(self, name: str) -> bool:
        path = self.resolve(name)
        host = self.on_host(path)
        return path == "/" or path in self.files or (host is not None and host.exists())

    def write_file(self, name: str, data: bytes, *, append: bool) -> None:
        path = self.resolve(name)
        before = (self.read_file(name) or b"") if append else b""
        self.files[path] = (before + data)[-_MAX_FILE_BYTES:]

    def listing(self, name: str) -> list[str]:
        path = self.resolve(name).rstrip("/")
        names = {other[len(path) + 1 :].split("/")[0] for other in self.files if other.startswith(path + "/")}
        host = self.on_host(path)
        if host is not None and host.is_dir():
            names |= {entry.name for entry in host.iterdir()}
        return sorted(names)


def supports(command: Sequence[str]) -> bool:
    """Whether `run_command` can run this to its end, judged before anything runs."""
    try:
        _check_words(command)
    except Unsupported:
        return False
    return True


def _check_words(command: Sequence[str]) -> None:
    if not command:
        raise Unsupported("no command")
    if command[0] in _SHELLS:
        script = _script_of(command)
        if script is not None:
            _check(syntax.parse(script))
    elif _base(command[0]) not in _COMMANDS:
        raise Unsupported(command[0])


def _check(sequence: syntax.Sequence) -> None:
    for step in sequence.steps:
        if isinstance(step.command, syntax.While):
            _check(step.command.condition)
            _check(step.command.body)
            continue
        words = [word.expand({}) for word in step.command.words]
        while words and _is_assignment(words[0]):
            words.pop(0)
        if words and words[0] == "exec":
            words.pop(0)
        if words:
            _check_words(words)


def _script_of(command: Sequence[str]) -> str | None:
    """The text after `-c` (also `-ec` and the like); None for a shell that reads its input."""
    for index, word in enumerate(command[1:], 1):
        if word.startswith("-") and word.endswith("c"):
            if index + 1 >= len(command):
                raise Unsupported("-c without a script")
            return command[index + 1]
        if not word.startswith("-"):
            raise Unsupported("a script file")
    return None


def _base(name: str) -> str:
    for directory in ("/bin/", "/usr/bin/"):
        if name.startswith(directory):
            return name[len(directory) :]
    return name


def _is_assignment(word: str) -> bool:
    name, equals, _ = word.partition("=")
    return bool(equals) and name.isidentifier()


async def run_command(command: Sequence[str], around: Surroundings, pipes: Pipes) -> int:
    """Run it to its end and give the exit code. Raises Unsupported for what `supports` denies."""
    _check_words(command)
    try:
        return await _run_words(list(command), around, pipes)
    except ShellExit as ending:
        return ending.code


async def run_or_say_why(command: Sequence[str], around: Surroundings, pipes: Pipes) -> int:
    """Run what somebody asked for by name. What is not there fails as on a real engine, with 127 or 126."""
    if command[0] not in _SHELLS and _base(command[0]) not in _COMMANDS:
        name = command[0]
        if around.read_file(name) is not None:
            await pipes.write(STDERR, f'exec: "{name}": permission denied\n'.encode())
            return _NOT_EXECUTABLE
        why = f"stat {name}: no such file or directory" if "/" in name else "executable file not found in $PATH"
        await pipes.write(STDERR, f'exec: "{name}": {why}\n'.encode())
        return _NOT_FOUND
    try:
        return await _run_words(list(command), around, pipes)
    except ShellExit as ending:
        return ending.code
    except Unsupported as error:
        return await _beyond(error, pipes)


async def _beyond(error: Unsupported, pipes: Pipes) -> int:
    await pipes.write(STDERR, f"sh: {error}: this simulated shell cannot do that\n".encode())
    return _NOT_EXECUTABLE


async def _run_words(words: list[str], around: Surroundings, pipes: Pipes) -> int:
    if words[0] not in _SHELLS and _base(words[0]) not in _COMMANDS:
        await pipes.write(STDERR, f"sh: {words[0]}: not found\n".encode())
        return _NOT_FOUND
    if words[0] in _SHELLS:
        script = _script_of(words)
        try:
            if script is None:
                return await _interactive(around, pipes)
            return await _run_sequence(syntax.parse(script), around, pipes)
        except ShellExit as ending:
            return ending.code
    return await _COMMANDS[_base(words[0])](words[1:], around, pipes)


async def _run_sequence(sequence: syntax.Sequence, around: Surroundings, pipes: Pipes, code: int = 0) -> int:
    for step in sequence.steps:
        if (step.when == "&&" and code != 0) or (step.when == "||" and code == 0):
            continue
        around.environment["?"] = str(code)
        if isinstance(step.command, syntax.While):
            code = 0
            while await _run_sequence(step.command.condition, around, pipes) == 0:
                before = trio.current_time()
                code = await _run_sequence(step.command.body, around, pipes)
                if trio.current_time() == before:
                    await trio.sleep(_LEAST_LOOP_SECONDS)
        else:
            code = await _run_simple(step.command, around, pipes)
    return code


async def _run_simple(command: syntax.Simple, around: Surroundings, pipes: Pipes) -> int:
    words = [word.expand(around.environment) for word in command.words]
    assigned = {}
    while words and _is_assignment(words[0]):
        name, _, value = words.pop(0).partition("=")
        assigned[name] = value
    if words[:1] == ["exec"]:
        words.pop(0)
        if words:
            raise ShellExit(await _redirected(words, command, around, pipes))
    if not words:
        around.environment.update(assigned)
        return await _redirected([":"], command, around, pipes)
    if not assigned:
        return await _redirected(words, command, around, pipes)
    before = dict(around.environment)
    around.environment.update(assigned)
    try:
        return await _redirected(words, command, around, pipes)
    finally:
        around.environment.clear()
        around.environment.update(before)


async def _redirected(words: list[str], command: syntax.Simple, around: Surroundings, pipes: Pipes) -> int:
    for redirect in command.redirects:
        target = redirect.target.expand(around.environment)
        if redirect.mode == ">&":
            pipes = _Joined(pipes, redirect.stream, int(target))
        elif redirect.mode == "<":
            data = around.read_file(target)
            if data is None:
                await pipes.write(STDERR, f"sh: can't open {target}: no such file\n".encode())
                return 1
            pipes = _Given(pipes, data)
        elif target == "/dev/null":
            pipes = _ToFile(pipes, redirect.stream, None, target)
        else:
            around.write_file(target, b"", append=redirect.mode == ">>")
            pipes = _ToFile(pipes, redirect.stream, around, target)
    return await _run_words(words, around, pipes)


class _Joined:
    """`2>&1`: one stream goes where another one goes."""

    def __init__(self, pipes: Pipes, source: int, target: int) -> None:
        self._pipes, self._source, self._target = pipes, source, target
        self.read = pipes.read

    async def write(self, stream: int, data: bytes) -> None:
        await self._pipes.write(self._target if stream == self._source else stream, data)


class _Given:
    def __init__(self, pipes: Pipes, data: bytes) -> None:
        self._data = data
        self.write = pipes.write

    async def read(self) -> bytes:
        data, self._data = self._data, b""
        await trio.lowlevel.checkpoint()
        return data


class _ToFile:
    def __init__(self, pipes: Pipes, stream: int, around: Surroundings | None, name: str) -> None:
        self._pipes, self._stream, self._around, self._name = pipes, stream, around, name
        self.read = pipes.read

    async def write(self, stream: int, data: bytes) -> None:
        if stream != self._stream:
            await self._pipes.write(stream, data)
        elif self._around is not None:
            self._around.write_file(self._name, data, append=True)


async def _interactive(around: Surroundings, pipes: Pipes) -> int:
    """A shell that reads lines from its input until that ends; on a terminal it asks for each."""
    buffer = b""
    code = 0
    ended = False
    around.interactive = True
    while not ended:
        if around.terminal and not buffer:
            await pipes.write(STDOUT, f"{around.directory} {'#' if around.user == 'root' else '$'} ".encode())
        data = await pipes.read()
        ended = not data
        if b"\x03" in data:  # Ctrl-C takes back what was typed
            buffer, data = b"", data.rpartition(b"\x03")[2]
            if not data:
                continue
        buffer += data.replace(b"\r", b"\n") or b"\n"
        *lines, buffer = buffer.split(b"\n")
        for line in lines:
            code = await _run_line(line.decode("utf-8", "replace"), code, around, pipes)
    return code


async def _run_line(line: str, before: int, around: Surroundings, pipes: Pipes) -> int:
    try:
        sequence = syntax.parse(line)
        if not sequence.steps:
            return before
        with trio.CancelScope() as around.foreground:
            return await _run_sequence(sequence, around, pipes, before)
    except Unsupported as error:
        return await _beyond(error, pipes)
    finally:
        around.foreground = None
    return INTERRUPTED


Command = Callable[[list[str], Surroundings, Pipes], Awaitable[int]]
_COMMANDS: dict[str, Command] = {}


def register(*names: str) -> Callable[[Command], Command]:
    """Makes a function the meaning of these command names."""

    def keep(command: Command) -> Command:
        for name in names:
            _COMMANDS[name] = command
        return command

    return keep


async def say(pipes: Pipes, text: str) -> int:
    await pipes.write(STDOUT, text.encode())
    return 0
