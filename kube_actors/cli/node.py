"""`kube-actors node`: one node, joined to an API server of another process or host."""

from __future__ import annotations

import argparse

import trio

from kube_actors.assembly.join import JoinConfig, default_name, run_node

from .run import tell, until_interrupted
from .up import default_data_dir, raise_descriptor_limit


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--server", required=True, metavar="URL", help="https://HOST:PORT of the API server")
    parser.add_argument("--token-file", required=True, metavar="PATH", help="the node-token that `up` left")
    parser.add_argument("--name", default=default_name(), metavar="NAME", help="default: this host's name")
    parser.add_argument("--runtime", choices=["auto", "docker", "podman", "simulated"], default="auto")
    parser.add_argument("--data-dir", metavar="DIR", help="where volumes live")
    parser.add_argument("--address", metavar="IP", help="where other hosts reach this one; default: found")
    parser.add_argument("--without-proxy", action="store_true", help="leave Service addresses to another proxy")


def run(given: argparse.Namespace) -> int:
    raise_descriptor_limit()
    config = JoinConfig(
        server=given.server,
        token_file=given.token_file,
        name=given.name,
        runtime=given.runtime,
        data_dir=given.data_dir or str(default_data_dir()),
        address=given.address or "",
        proxy=not given.without_proxy,
    )

    async def work() -> None:
        await run_node(config, tell)

    return trio.run(until_interrupted, work)
