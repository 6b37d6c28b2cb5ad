"""`kube-actors up`: a cluster in the foreground.

Once the API answers and the nodes are Ready it prints one line to stdout, `ready https://HOST:PORT kubeconfig=PATH`;
everything else goes to stderr. Ctrl-C or TERM stops it and leaves nothing behind.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path
from typing import Any

import msgspec
import trio

from kube_actors.assembly.cluster import Cluster
from kube_actors.assembly.config import COMPONENTS, ClusterConfig, ConfigError, load_config, parse_config

DEFAULT_LISTEN = "127.0.0.1:6443"
STORE_IN_DATA_DIR = "sqlite:<data-dir>/cluster.db"
"""What stands for the store until the data directory is known."""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--nodes", type=int, metavar="N", help="how many nodes (default 1)")
    parser.add_argument("--runtime", choices=["auto", "docker", "podman", "simulated"], help="default auto")
    parser.add_argument(
        "--store", metavar="ENGINE", help="memory, sqlite:PATH or etcd:URL (default sqlite in --data-dir)"
    )
    parser.add_argument("--listen", metavar="HOST:PORT", help=f"default {DEFAULT_LISTEN}; port 0 takes a free one")
    parser.add_argument("--data-dir", metavar="DIR", help="keys, store, volumes (default ~/.local/share/kube-actors)")
    parser.add_argument("--kubeconfig", metavar="PATH", help="where to write it (default DIR/kubeconfig)")
    parser.add_argument("--without", metavar="COMPONENT,...", help=f"leave out: {', '.join(COMPONENTS)}")
    parser.add_argument("--config", metavar="FILE", help="YAML that says all of this and more; flags win over it")


def run(given: argparse.Namespace) -> int:
    raise_descriptor_limit()
    config = configuration(given)
    make_data_dir(str(config.data_dir))
    return trio.run(_up, config)


def configuration(given: argparse.Namespace) -> ClusterConfig:
    """The file's configuration, the flags over it, and `up`'s own defaults under both. Raises ConfigError."""
    defaults = {"runtime": "auto", "store": STORE_IN_DATA_DIR, "listen": DEFAULT_LISTEN}
    config = load_config(given.config, defaults=defaults) if given.config else parse_config("", defaults=defaults)
    flags: dict[str, Any] = {
        name: value
        for name in ("nodes", "runtime", "store", "listen", "data_dir", "kubeconfig")
        if (value := getattr(given, name)) is not None
    }
    if given.without is not None:
        flags["without"] = tuple(part.strip() for part in given.without.split(",") if part.strip())
    config = msgspec.structs.replace(config, **flags)
    data_dir = config.data_dir or str(default_data_dir())
    store = f"sqlite:{Path(data_dir) / 'cluster.db'}" if config.store == STORE_IN_DATA_DIR else config.store
    whole = msgspec.structs.replace(config, data_dir=data_dir, store=store, listen=config.listen or DEFAULT_LISTEN)
    return whole.check()


def make_data_dir(path: str) -> None:
    """Raises ConfigError when it cannot be had."""
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"data directory {path}: cannot be made: {error.strerror}") from None


def default_data_dir() -> Path:
    base = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(base) / "kube-actors"


def raise_descriptor_limit() -> None:
    """Every connection and Service takes descriptors; take as many as this user may have."""
    import resource  # lazy: Unix only

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def _up(config: ClusterConfig) -> int:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_live, config, nursery.cancel_scope)
            async for _ in signals:
                print("stopping", file=sys.stderr, flush=True)
                break
            nursery.cancel_scope.cancel()
    return 0


async def _live(config: ClusterConfig, scope: trio.CancelScope) -> None:
    async with Cluster(config) as cluster:
        if cluster.why_engine:
            print(f"runtime {cluster.engine}: {cluster.why_engine}", file=sys.stderr)
        print(f"ready {cluster.server} kubeconfig={cluster.kubeconfig}", flush=True)
        await trio.sleep_forever()
