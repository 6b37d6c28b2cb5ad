"""The commands of the simulated shell, one small function each. See `shell` for what the simulation promises."""

from __future__ import annotations

import re

import trio

from runtimes.contract import STDERR, STDOUT
from runtimes.simulated.shell import Pipes, ShellExit, Surroundings, register, say

_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", "0": "\0"}
_SIGNALS = {"1": "HUP", "2": "INT", "3": "QUIT", "9": "KILL", "15": "TERM"}


def signal_name(text: str) -> str:
    """`15`, `SIGTERM` and `TERM` are all TERM."""
    name = text.upper().removeprefix("SIG")
    return _SIGNALS.get(name, name)


@register("true", ":", "export", "wait", "set", "umask", "sync", "mkdir")
async def _succeed(words: list[str], around: Surroundings, pipes: Pipes) -> int:
    for word in words:
        name, equals, value = word.partition("=")
        if equals and name.isidentifier():
            around.environment[name] = value
    return 0


@register("cd")
async def _cd(words: list[str], around: Surroundings, pipes: Pipes) -> int:
    around.directory = around.resolve(words[0]) if words else "/"
    return 0


@register("false")
async def _fail(words: list[str], around: Surroundings, pipes: Pipes) -> int:
    return 1


@register("exit")
async def _exit(words: list[str], around: Surroundings, pipes: Pipes) -> int:
    code = words[0] if words else around.environment.get("?", "0")
    raise ShellExit(int(code) & 255 if code.isdigit() else 2)


@register("echo")
async def _echo(words: list[str], around: Surroundings, pipes: Pipes) -> int:
    newline = "\n"
    while words and words[0] in ("-n", "-e", "-ne", "-en"):
        if "n" in words[0]:
            newline = ""
        words = words[1:]
    return await say(pipes, " ".join(words) + newline)


@register("printf")
async def _printf(words: list[str], around: Surroundings, pipes: Pipes) -> int:
    if not words:
        return 2
    text = re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[0]), words[0])
    arguments = iter(words[1:])
    return await say(pipes, re.sub(r"%([sd%])", lambda m: "%" if m[1] == "%" else next(arguments, ""), text))


@register("cat")
async def _cat(words: list[str], around: Surroundings, pipes: Pipes) -> int:
    if not words or words == ["-"]:
        while data := await pipes.read():
            await pipes.write(STDOUT, data)
        return 0
    code = 0
    for name in words:
        content = around.read_file(name)
        if content is None:
            code = 1
            await pipes.write(STDERR, f"cat: {name}: No such file or directory\n".encode())
        else:
            await pipes.write(STDOUT, content)
    return code


@register("env", "printenv")
async def _environment(words: list[str], around: Surroundings, pipes: Pipes) -> int:
    if words:
        values = [around.environment[name] for name in words if name in around.environment]
        await say(pipes, "".join(value + "\n" for value in values))
        return 0 if len(values) == len(words) else 1
    shown = (f"{name}={value}\n" for name, value in around.environment.items() if name != "?")
    return await say(pipes, "".join(shown))


@register("hostname")
async def _hostname(words: list[str], around: Surroundings, pipes: Pipes) -> int:
    return await say(pipes, around.hostname + "\n")


@register("sleep")
async def _sleep(words: list[str], around: Surroundings, pipes: Pipes) -> int:
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    try:
        if words == ["infinity"]:
            await trio.sleep_forever()
        for word in words:
            factor = units.get(word[-1:], 0)
            await trio.sleep(float(word[:-1]) * factor if factor else float(word))
    except ValueError:
        await pipes.write(STDERR, f"sleep: invalid time interval '{' '.join(words)}'\n".encode())
        return 1
    return 0


@register("test", "[")
async def _test(words: list[str], around: Surroundings, pipes: Pipes) -> int:
    match [word for word in words if word != "]"]:
        case ["-e" | "-f" | "-d" | "-r" | "-s", name]:
            return 0 if around.exists(name) else 1
        case ["!", "-e" | "-f" | "-d", name]:
            return 1 if around.exists(name) else 0
        case ["-z", text]:
            return 1 if text else 0
        case ["-n", text] | [text]:
            return 0 if text else 1
        case [left, "=" | "==", right]:
            return 0 if left == right else 1
        case [left, "!=", right]:
            return 0 if left != right else 1
        case []:
            return 1
    await pipes.write(STDERR, b"test: beyond this simulation\n")
    return 2


@register("touch")
async def _touch(words: list[str], around: Surroundings, pipes: Pipes) -> int:
    for name in words:
        around.write_file(name, b"", append=True)
    return 0


@register("rm")
async def _rm(words: list[str], around: Surroundings, pipes: Pipes) -> int:
    forced = any(word.startswith("-") and "f" in word for word in words)
    missing = 0
    for name in words:
        if not name.startswith("-") and around.files.pop(around.resolve(name), None) is None:
            missing += 1
            if not forced:
                await pipes.write(STDERR, f"rm: cannot remove '{name}': No such file or directory\n".encode())
    return 1 if missing and not forced else 0


@register("ls")
async def _ls(words: list[str], around: Surroundings, pipes: Pipes) -> int:
    names = [word for word in words if not word.startswith("-")] or ["."]
    code = 0
    for name in names:
        listing = around.listing(name)
        if not listing and not around.exists(name):
            await pipes.write(STDERR, f"ls: {name}: No such file or directory\n".encode())
            code = 1
        elif around.read_file(name) is not None:
            await say(pipes, name + "\n")
        else:
            await say(pipes, "".join(entry + "\n" for entry in listing))
    return code


@register("pwd")
async def _pwd(words: list[str], around: Surroundings, pipes: Pipes) -> int:
    return await say(pipes, around.directory + "\n")


@register("whoami")
async def _whoami(words: list[str], around: Surroundings, pipes: Pipes) -> int:
    return await say(pipes, around.user + "\n")


@register("id")
async def _id(words: list[str], around: Surroundings, pipes: Pipes) -> int:
    return await say(pipes, f"{'0' if around.user == 'root' else around.user}\n")


@register("trap")
async def _trap(words: list[str], around: Surroundings, pipes: Pipes) -> int:
    for name in words[1:]:
        around.traps[signal_name(name)] = words[0]
    return 0


@register("kill")
async def _kill(words: list[str], around: Surroundings, pipes: Pipes) -> int:
    signal = "TERM"
    if words and words[0].startswith("-"):
        signal = signal_name(words[1] if words[0] == "-s" and len(words) > 1 else words[0][1:])
    if words[-1:] != ["1"] or around.kill is None:
        await pipes.write(STDERR, b"kill: only process 1 exists in this simulation\n")
        return 1
    around.kill(signal)
    return 0
