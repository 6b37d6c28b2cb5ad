"""Logs, exec and attach as the API server asks for them."""

import msgspec
import pytest
import trio

from kube_actors.api.errors import ApiError
from kube_actors.api.messages import CLOSE, ERROR, STDIN, STDOUT
from kube_actors.api.node_messages import ExecRequest, LogRequest
from runtimes.simulated import Behaviour, Outcome, Output, Script
from tests.unit.kubelet.world import a_world

LINES = (Output(text="one\n"), Output(text="two\n", after_seconds=10), Output(text="three\n", after_seconds=20))


def log(**more):
    return LogRequest(namespace="default", pod="web", container="c", **more)


async def read(stream):
    data = b""
    while chunk := await stream.receive_some():
        data += chunk
    stream.close()
    return data


async def test_logs(autojump_clock):
    script = Script({"web": Behaviour(output=LINES, run_seconds=60)})
    async with a_world(script=script) as world:
        await world.pod(containers=[{"name": "c", "image": "web:1"}])
        await world.ready()
        await trio.sleep(15)
        service = world.node.service
        assert await read(await service.logs(log())) == b"one\ntwo\n"
        assert await read(await service.logs(log(tail_lines=1))) == b"two\n"
        assert await read(await service.logs(log(limit_bytes=5))) == b"one\nt"
        assert await read(await service.logs(log(since_seconds=8))) == b"two\n"
        stamped = await read(await service.logs(log(tail_lines=1, timestamps=True)))
        assert stamped.startswith(b"2026-01-01T00:00:10.") and stamped.endswith(b"Z two\n")
        assert await read(await service.logs(log(follow=True))) == b"one\ntwo\nthree\n"
        assert trio.current_time() >= 60
        await world.until("web", lambda pod: pod.status.container_statuses[0].restart_count == 1)
        assert await read(await service.logs(log(previous=True))) == b"one\ntwo\nthree\n"


async def test_a_closed_follower_lets_go(autojump_clock):
    script = Script({"web": Behaviour(output=LINES)})
    async with a_world(script=script) as world:
        await world.pod(containers=[{"name": "c", "image": "web:1"}])
        await world.ready()
        stream = await world.node.service.logs(log(follow=True))
        assert await stream.receive_some() == b"one\n"
        async with trio.open_nursery() as nursery:
            nursery.start_soon(read, stream)
            await trio.testing.wait_all_tasks_blocked()
            stream.close()


async def test_refusals(autojump_clock):
    script = Script({"away": Behaviour(pull_error="no such image")})
    async with a_world(script=script) as world:
        service = world.node.service
        with pytest.raises(ApiError, match='pods "web" not found'):
            await service.logs(log())
        await world.pod(containers=[{"name": "c", "image": "away:1"}])
        await trio.sleep(5)
        with pytest.raises(ApiError) as refusal:
            await service.logs(log())
        assert refusal.value.code == 400
        text = 'container "c" in pod "web" is waiting to start: trying and failing to pull image'
        assert refusal.value.message == text
        with pytest.raises(ApiError) as refusal:
            await service.logs(log(previous=True))
        assert refusal.value.message == 'previous terminated container "c" in pod "web" not found'
        with pytest.raises(ApiError, match="container not found"):
            await service.exec(ExecRequest(namespace="default", pod="web", container="c", command=("ls",)))


async def collect(session):
    frames = []
    while (frame := await session.receive()) is not None:
        frames.append(frame)
    session.close()
    return frames


async def test_exec(autojump_clock):
    script = Script({"web": Behaviour(commands={"fail": Outcome(exit_code=7, stdout="out", stderr="err")})})
    async with a_world(script=script) as world:
        await world.pod(containers=[{"name": "c", "image": "web:1"}])
        await world.ready()
        service = world.node.service

        async def run(*command, **more):
            request = ExecRequest(namespace="default", pod="web", container="c", command=command, **more)
            return await service.exec(request)

        frames = await collect(await run("fail"))
        assert (STDOUT, b"out") in frames
        channel, data = frames[-1]
        status = msgspec.json.decode(data)
        assert channel == ERROR
        assert status["reason"] == "NonZeroExitCode"
        assert status["details"]["causes"] == [{"reason": "ExitCode", "message": "7"}]
        session = await run("cat", stdin=True)
        await session.send(STDIN, b"hello")
        await session.send(CLOSE, bytes([STDIN]))
        frames = await collect(session)
        assert frames[0] == (STDOUT, b"hello")
        assert msgspec.json.decode(frames[-1][1])["status"] == "Success"


async def test_through_the_api_server(autojump_clock):
    script = Script({"web": Behaviour(output=LINES, commands={"fail": Outcome(exit_code=7, stderr="no")})})
    async with a_world(script=script) as world:
        await world.pod(containers=[{"name": "c", "image": "web:1"}])
        await world.ready()
        await trio.sleep(15)
        assert await world.client.logs("web", namespace="default") == "one\ntwo\n"
        assert await world.client.logs("web", namespace="default", tail_lines=1) == "two\n"
        async with world.client.follow_logs("web", namespace="default", tail_lines=1) as stream:
            assert await stream.receive_some() == b"two\n"
            assert await stream.receive_some() == b"three\n"
        result = await world.client.run("web", ["fail"], namespace="default")
        assert (result.exit_code, result.stderr) == (7, b"no")
        result = await world.client.run("web", ["cat"], namespace="default", stdin=b"hello")
        assert (result.exit_code, result.stdout) == (0, b"hello")
        with pytest.raises(ApiError) as refusal:
            await world.client.logs("web", namespace="default", previous=True)
        assert refusal.value.message == 'previous terminated container "c" in pod "web" not found'
