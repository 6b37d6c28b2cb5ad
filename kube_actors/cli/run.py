"""`kube-actors run`: one component against any API server, ours or another."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Awaitable, Callable

import msgspec
import trio

from kube_actors.assembly.config import ClusterConfig, load_config
from kube_actors.assembly.remote import run_component


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("component", choices=["scheduler", "controllers", "cloud"])
    parser.add_argument("--kubeconfig", metavar="PATH", help="default: $KUBECONFIG, then ~/.kube/config")
    parser.add_argument(
        "--controllers", metavar="NAME,...", help="which controllers run: * for those on by default, NAME, -NAME"
    )
    parser.add_argument(
        "--leader-elect", action=argparse.BooleanOptionalAction, default=None, help="whether controllers elect a leader"
    )
    parser.add_argument("--config", metavar="FILE", help="YAML as for `up`; its controllers' part is read")


def run(given: argparse.Namespace) -> int:
    config = configuration(given)

    async def work() -> None:
        await run_component(given.component, given.kubeconfig, config, tell=tell)

    return trio.run(until_interrupted, work)


def configuration(given: argparse.Namespace) -> ClusterConfig:
    """The file's configuration, with the flags over it. Raises ConfigError."""
    config = load_config(given.config) if given.config else ClusterConfig()
    wanted = config.controllers
    if given.controllers is not None:
        names = tuple(part.strip() for part in given.controllers.split(",") if part.strip())
        wanted = msgspec.structs.replace(wanted, enabled=names)
    if given.leader_elect is not None:
        election = msgspec.structs.replace(wanted.leader_election, leader_elect=given.leader_elect)
        wanted = msgspec.structs.replace(wanted, leader_election=election)
    return msgspec.structs.replace(config, controllers=wanted)


def tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


async def until_interrupted(work: Callable[[], Awaitable[None]]) -> int:
    """Do the work until it ends or INT or TERM comes."""
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(work)
            async for _ in signals:
                break
            nursery.cancel_scope.cancel()
    return 0
