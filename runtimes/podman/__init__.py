"""The Podman engine behind `runtimes.contract`. `open_podman` is the only door."""

from runtimes.podman.runtime import open_podman

__all__ = ["open_podman"]
