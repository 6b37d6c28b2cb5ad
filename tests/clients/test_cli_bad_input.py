"""What cannot be: each is one line on stderr that names the cause, exit code 1, and nothing half-started."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.kit.commands import client_of, command, refused, up, with_user

NO_ENGINE = {"DOCKER_HOST": "unix:///nonexistent", "CONTAINER_HOST": "unix:///nonexistent"}


@pytest.mark.parametrize(
    ("arguments", "cause"),
    [
        (["--listen", "192.0.2.1:0", "--runtime", "simulated"], "cannot listen on 192.0.2.1:0"),
        (["--store", "sqlite:/proc/no.db", "--runtime", "simulated"], "/proc/no.db: unable to open database file"),
        (["--runtime", "docker"], "runtime: docker: cannot reach the engine at unix:///nonexistent: No such file"),
        (["--runtime", "podman"], "runtime: podman: cannot reach podman at unix:///nonexistent: No such file"),
    ],
)
async def test_up_says_what_is_wrong(tmp_path: Path, arguments: list[str], cause: str) -> None:
    """What is known before anything starts is told in process: tests/unit/cli."""
    told = await refused("up", "--data-dir", str(tmp_path / "d"), *arguments, home=tmp_path, env=NO_ENGINE)
    assert cause in told


async def test_a_database_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "letter.db"
    path.write_text("Dear all, " * 100)
    told = await refused(
        "up", "--runtime", "simulated", "--data-dir", str(tmp_path / "d"), "--store", f"sqlite:{path}", home=tmp_path
    )
    assert told == f"{path} is damaged: file is not a database"
    assert path.read_text() == "Dear all, " * 100


async def test_who_comes_to_a_running_server(tmp_path: Path) -> None:
    """Ports, files and credentials that somebody else has, or that nobody accepts."""
    data = tmp_path / "d"
    async with up(data, "--without", "controllers,cloud,scheduler", nodes=0) as server:
        url, kubeconfig = await server.ready()
        other = ("up", "--runtime", "simulated", "--data-dir", str(tmp_path / "other"), "--store", "memory")
        in_use = await refused(*other, "--listen", url.removeprefix("https://"), home=tmp_path)
        assert in_use == f"cannot listen on {url.removeprefix('https://')}: Address already in use"
        same = await refused(
            "up", "--runtime", "simulated", "--data-dir", str(data), "--listen", "127.0.0.1:0", home=tmp_path
        )
        assert same == f"{data / 'cluster.db'} is in use by another process"
        wrong = tmp_path / "wrong-token"
        wrong.write_text("wrong\n" + (data / "node-token").read_text().partition("\n")[2])
        node = ("node", "--runtime", "simulated", "--name", "n", "--token-file", str(wrong))
        told = await refused(*node, "--server", url, home=tmp_path)
        assert told == f"{url} refuses the token in {wrong}: 401 Unauthorized"
        assert "is not https://HOST:PORT" in await refused(*node, "--server", "here", home=tmp_path)
        stranger = with_user(kubeconfig, {"token": "wrong"}, tmp_path / "stranger")
        told = await refused("run", "scheduler", "--kubeconfig", str(stranger), home=tmp_path)
        assert told == f"{url} refuses the kubeconfig's credentials: 401 Unauthorized"
        nobody = with_user(kubeconfig, {}, tmp_path / "nobody")
        told = await refused("run", "scheduler", "--kubeconfig", str(nobody), home=tmp_path)
        assert "403" in told and 'User "system:anonymous" cannot get path "/api"' in told
        async with client_of(kubeconfig) as client:
            assert (await client.list("Node")).items == ()  # nobody got in by accident


async def test_a_server_that_is_away_is_waited_for(tmp_path: Path) -> None:
    data = tmp_path / "d"
    bare = ("--without", "controllers,cloud,scheduler")
    async with up(data, *bare, nodes=0) as server:
        url, kubeconfig = await server.ready()
        assert await server.stop() == 0
    async with command("run", "scheduler", "--kubeconfig", str(kubeconfig), home=tmp_path) as scheduler:
        told = await scheduler.said("cannot be reached")
        assert told.startswith(f"{url}: ") and told.endswith("; trying again")
        async with up(data, *bare, "--listen", url.removeprefix("https://"), nodes=0) as server:
            await server.ready()
            await scheduler.said("it answers again")
            await scheduler.said("running scheduler")
        assert await scheduler.stop() == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
async def test_a_directory_that_is_not_ours(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    told = await refused("up", "--runtime", "simulated", "--data-dir", str(closed / "d"), home=tmp_path)
    assert "Permission denied" in told
