"""What a simulated container does, as a value, and the table that gives each container its behaviour.

Pure. A behaviour is chosen, the first that applies: by the environment variable SIMULATED_BEHAVIOUR, by an annotation
of the container or of its sandbox (`simulated.kube-actors/CONTAINER` or `simulated.kube-actors/behaviour`), each
holding the behaviour as JSON, then by the script's table of images. What is said nowhere is the default: it pulls
and starts at once, runs its command if that is one which the simulation can run (see `shell`), else for ever; its
probes' and hooks' commands succeed, while a command that somebody executes by hand is run by the shell or does not
exist; it ends at once with 0 on TERM, as a well-behaved server does.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from runtimes.contract import STDOUT, ContainerConfig, InvalidConfig, Value

ENVIRONMENT_KEY = "SIMULATED_BEHAVIOUR"
ANNOTATION_PREFIX = "simulated.kube-actors/"
PORTS_ANNOTATION = "io.kubernetes.container.ports"  # what a node agent tells an engine about declared ports
DEFAULT_PORT = 8080


class Output(Value, frozen=True, kw_only=True):
    """Text that a container writes so many seconds after its start."""

    text: str
    after_seconds: float = 0.0
    stream: int = STDOUT


class Outcome(Value, frozen=True, kw_only=True):
    """What a command gives that is executed in a container."""

    exit_code: int = 0
    stdout: str = ""
    stderr: str = ""
    seconds: float = 0.0


class Behaviour(Value, frozen=True, kw_only=True, omit_defaults=True):
    # Images.
    pull_seconds: float = 0.0
    pull_error: str = ""
    pull_failures: int | None = None  # how many pulls fail with pull_error before one succeeds; None: all
    image_bytes: int = 10_000_000
    # Start.
    start_seconds: float = 0.0
    start_error: str = ""
    start_exit_code: int = 128
    # Run and end.
    run_seconds: float | None = None  # None: its command decides, or for ever
    exit_code: int = 0
    oom: bool = False  # ends by the out-of-memory killer after run_seconds: 137
    output: tuple[Output, ...] = ()
    ignore_term: bool = False
    term_seconds: float = 0.0
    term_exit_code: int = 0
    # Commands executed in it, by their words joined with blanks; others are run by `shell`.
    commands: dict[str, Outcome] = {}
    # Network: what it answers on its ports, by path; other paths give 200.
    serve: bool | None = None  # None: in the loopback network, when a port is declared or PORT is set
    ports: tuple[int, ...] = ()
    ready_seconds: float = 0.0  # it refuses connections until then
    paths: dict[str, int] = {}
    # Usage.
    cpu_cores: float = 0.001
    memory_bytes: int = 1 << 20


class Script:
    """The table: an image's name (with or without tag) or `container:NAME` to a behaviour. It may be changed at any
    time; containers that exist see a change of `commands`, `paths` and usage at once."""

    def __init__(self, table: Mapping[str, Behaviour] | None = None, *, default: Behaviour | None = None) -> None:
        self._table = dict(table or {})
        self.default = default or Behaviour()

    def set(self, key: str, behaviour: Behaviour) -> None:
        self._table[key] = behaviour

    def for_image(self, reference: str) -> Behaviour:
        table = self._table
        if not table:
            return self.default
        name = reference.split("@", 1)[0]
        untagged = name[: name.rfind(":")] if ":" in name.rsplit("/", 1)[-1] else name
        for key in (reference, name, untagged, untagged.rsplit("/", 1)[-1]):
            if key in table:
                return table[key]
        return self.default

    def for_container(self, config: ContainerConfig, sandbox_annotations: Mapping[str, str]) -> Behaviour:
        """Raises InvalidConfig for a behaviour that cannot be read."""
        text = _written(config, sandbox_annotations)
        if text is not None:
            try:
                return msgspec.json.decode(text, type=Behaviour)
            except msgspec.MsgspecError as error:
                raise InvalidConfig(f"unreadable simulated behaviour of {config.name!r}: {error}") from error
        named = self._table.get("container:" + config.name)
        return named if named is not None else self.for_image(config.image)


def _written(config: ContainerConfig, sandbox_annotations: Mapping[str, str]) -> str | None:
    for name, value in config.env:
        if name == ENVIRONMENT_KEY:
            return value
    for place in (config.annotations, sandbox_annotations):
        for key in (ANNOTATION_PREFIX + config.name, ANNOTATION_PREFIX + "behaviour") if place else ():
            if key in place:
                return place[key]
    return None


def declared_ports(behaviour: Behaviour, config: ContainerConfig) -> tuple[int, ...]:
    """The ports that the container was told about; empty if none."""
    if behaviour.ports:
        return behaviour.ports
    for name, value in config.env:
        if name == "PORT" and value.isdigit():
            return (int(value),)
    text = config.annotations.get(PORTS_ANNOTATION)
    if not text:
        return ()
    try:
        ports = msgspec.json.decode(text, type=list[dict[str, str | int]])
    except msgspec.MsgspecError:
        return ()
    return tuple(
        int(port["containerPort"]) for port in ports if "containerPort" in port and port.get("protocol", "TCP") == "TCP"
    )
