"""Docker as an engine: `open_docker` is the door."""

from runtimes.docker.runtime import DockerRuntime, open_docker

__all__ = ["DockerRuntime", "open_docker"]
