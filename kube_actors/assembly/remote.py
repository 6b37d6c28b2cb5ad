"""Components as processes of their own: one component, or one node, against an API server reached over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from kube_actors.actors import Actor, RestartPolicy, System, open_supervisor
from kube_actors.client import Client, HTTPTransport, load_config

from . import components
from .config import ClusterConfig
from .reaching import Tell, client_of, first_contact

PATIENT = RestartPolicy(restart="always", limit=None)


async def run_component(
    name: str, kubeconfig: str | Path | None, config: ClusterConfig | None = None, *, tell: Tell
) -> None:
    """Run the scheduler, the controllers or the cloud controllers until cancelled. A server that is away is waited for.

    Raises KubeconfigError when the file cannot be used, ConfigError when the server refuses its credentials.
    """
    if name == "controllers":
        components.check_controllers(config or ClusterConfig())
    system = System()
    where = load_config(kubeconfig)
    async with HTTPTransport(where, system.entropy) as transport:
        client = client_of(transport, where.server, tell, system)
        await first_contact(client, where.server, "the kubeconfig's credentials")
        make = maker(name, client, system, config or ClusterConfig())
        tell(f"running {name}")
        async with open_supervisor(name, system) as supervisor:
            supervisor.start(name, make, PATIENT)


def maker(name: str, client: Client, system: System, config: ClusterConfig) -> Callable[[], Actor]:
    """How to make a component by its name on the command line."""
    makers: dict[str, Callable[[], Actor]] = {
        "scheduler": lambda: components.scheduler(client, system),
        "controllers": lambda: components.controllers(client, system, config, "", rivals=True),
        "cloud": lambda: components.cloud(client, system),
    }
    return makers[name]
