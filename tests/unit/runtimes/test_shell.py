"""The simulated shell, command by command."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from runtimes.contract import STDERR, STDOUT, Mount
from runtimes.simulated import commands
from runtimes.simulated.shell import Surroundings, Unsupported, run_command, supports

assert commands.signal_name("SIGTERM") == commands.signal_name("15") == "TERM"


class Pipes:
    def __init__(self, *given: bytes) -> None:
        self.given = list(given)
        self.output = {STDOUT: b"", STDERR: b""}

    async def read(self) -> bytes:
        await trio.lowlevel.checkpoint()
        return self.given.pop(0) if self.given else b""

    async def write(self, stream: int, data: bytes) -> None:
        await trio.lowlevel.checkpoint()
        self.output[stream] += data


def surroundings(**changes: object) -> Surroundings:
    defaults = {"hostname": "host", "environment": {"NAME": "value", "odd.name": "x"}, "files": {}}
    return Surroundings(**(defaults | changes))  # type: ignore[arg-type]


async def run(script: str, around: Surroundings | None = None, *given: bytes) -> tuple[int, str, str]:
    pipes = Pipes(*given)
    code = await run_command(("sh", "-c", script), around or surroundings(), pipes)
    return code, pipes.output[STDOUT].decode(), pipes.output[STDERR].decode()


@pytest.mark.parametrize(
    ("script", "code", "output"),
    [
        ("true", 0, ""),
        ("false", 1, ""),
        ("exit 7; echo never", 7, ""),
        ("false; exit", 1, ""),
        ("true && echo yes || echo no", 0, "yes\n"),
        ("false && echo yes || echo no", 0, "no\n"),
        ("false || exit 3", 3, ""),
        ("echo one; echo two", 0, "one\ntwo\n"),
        ("echo -n a b", 0, "a b"),
        ("echo '$NAME' \"$NAME\" $NAME ${NAME} \\$NAME", 0, "$NAME value value value $NAME\n"),
        ('echo "a;b && c" # comment', 0, "a;b && c\n"),
        ("A=1; echo $A; B=2 env | true", None, ""),
        ("A=1; echo $A", 0, "1\n"),
        ("A=2 printenv A; echo [$A]", 0, "2\n[]\n"),
        ("export A=3; printenv A", 0, "3\n"),
        ("false; echo $?", 0, "1\n"),
        ("printf 'a%s\\n' b", 0, "ab\n"),
        ("hostname", 0, "host\n"),
        ("exec echo last; echo never", 0, "last\n"),
        ("echo hidden > /dev/null; echo seen", 0, "seen\n"),
        ("echo one > /tmp/f; echo two >> /tmp/f; cat /tmp/f", 0, "one\ntwo\n"),
        ("echo x > f; cat < f; pwd", 0, "x\n/\n"),
        ("touch /tmp/a; test -f /tmp/a && rm /tmp/a; [ -f /tmp/a ] || echo gone", 0, "gone\n"),
        ("cd /tmp; touch here; ls /tmp; pwd", 0, "here\n/tmp\n"),
        ('[ "$NAME" = value ] && echo equal', 0, "equal\n"),
        ("sh -c 'exit 4'; echo $?", 0, "4\n"),
        ("sleep 5 & wait; echo done", 0, "done\n"),
    ],
)
async def test_scripts(script: str, code: int | None, output: str, autojump_clock: trio.abc.Clock) -> None:
    if code is None:
        assert not supports(("sh", "-c", script))
        with pytest.raises(Unsupported):
            await run(script)
    else:
        assert (await run(script))[:2] == (code, output)


async def test_streams_are_joined() -> None:
    assert await run("echo out; echo err >&2") == (0, "out\n", "err\n")
    assert await run("cat /missing 2>&1") == (1, "cat: /missing: No such file or directory\n", "")
    assert await run("rm /missing") == (1, "", "rm: cannot remove '/missing': No such file or directory\n")


async def test_a_loop_passes_virtual_time(autojump_clock: trio.abc.Clock) -> None:
    with trio.move_on_after(10.5):
        await run("while true; do echo tick; sleep 1; done")
    assert trio.current_time() == pytest.approx(10.5)
    with trio.move_on_after(1):
        await run("while :; do true; done")
    assert trio.current_time() == pytest.approx(11.5)


async def test_input_is_read() -> None:
    assert await run("cat", None, b"a", b"b\n") == (0, "ab\n", "")
    pipes = Pipes(b"echo he", b"llo\nfoo\n", b"exit 6\n")
    assert await run_command(("sh",), surroundings(), pipes) == 6
    assert pipes.output[STDOUT] == b"hello\n" and b"foo" in pipes.output[STDERR]


async def test_mounts_are_read_and_never_written(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("from the host")
    mount = Mount(host_path=str(tmp_path), container_path="/etc/config")
    around = surroundings(mounts=(mount,))
    assert (await run("cat /etc/config/key", around))[1] == "from the host"
    assert (await run("ls /etc/config", around))[1] == "key\n"
    assert (await run("echo changed > /etc/config/key; cat /etc/config/key", around))[1] == "changed\n"
    assert (tmp_path / "key").read_text() == "from the host"


@pytest.mark.parametrize(
    "command",
    [(), ("nginx",), ("sh", "-c", "a | b"), ("sh", "-c", "echo $(date)"), ("sh", "script.sh"), ("sh", "-c", "for")],
)
def test_what_is_beyond_the_simulation_is_known_before(command: tuple[str, ...]) -> None:
    assert not supports(command)
