"""`kube-actors run`: one component against any API server, ours or another."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Awaitable, Callable

import trio

from kube_actors.assembly.config import load_config
from kube_actors.assembly.remote import run_component


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("component", choices=["scheduler", "controllers", "cloud"])
    parser.add_argument("--kubeconfig", metavar="PATH", help="default: $KUBECONFIG, then ~/.kube/config")
    parser.add_argument("--config", metavar="FILE", help="YAML as for `up`; its controllers' part is read")


def run(given: argparse.Namespace) -> int:
    config = load_config(given.config) if given.config else None

    async def work() -> None:
        await run_component(given.component, given.kubeconfig, config, tell=tell)

    return trio.run(until_interrupted, work)


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
