"""A container's environment: values, references, downward fields, `$(NAME)`, Service variables. Pure.

Everything that has to be fetched is in `Inputs`; `references` says beforehand what that is. What is missing and not
optional raises `ConfigError` with the kubelet's words, and the container waits as CreateContainerConfigError.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct, structs

from kube_actors.api import quantity
from kube_actors.api.types.core_v1 import (
    ConfigMap,
    EnvVarSource,
    Pod,
    ResourceFieldSelector,
    Secret,
    Service,
)

from .model import AnyContainer, container_named

_REFERENCE = re.compile(r"\$(?:\$|\(([^()]*)\))")
_SUBSCRIPT = re.compile(r"metadata\.(labels|annotations)\['(.+)'\]")


class ConfigError(Exception):
    """The container's configuration cannot be made yet; the message is the kubelet's."""


class Inputs(Struct, frozen=True, kw_only=True):
    """What an environment is made of beside the pod itself. None in a map: the object does not exist."""

    config_maps: Mapping[str, ConfigMap | None] = {}
    secrets: Mapping[str, Secret | None] = {}
    services: Sequence[Service] = ()
    pod_ips: tuple[str, ...] = ()
    host_ips: tuple[str, ...] = ()
    allocatable: Mapping[str, str] = {}


def references(container: AnyContainer) -> tuple[set[str], set[str]]:
    """Names of the ConfigMaps and Secrets that the environment needs."""
    config_maps: set[str] = set()
    secrets: set[str] = set()
    for source in container.env_from:
        if source.config_map_ref is not None:
            config_maps.add(source.config_map_ref.name or "")
        if source.secret_ref is not None:
            secrets.add(source.secret_ref.name or "")
    for variable in container.env:
        wanted = variable.value_from
        if wanted is not None and wanted.config_map_key_ref is not None:
            config_maps.add(wanted.config_map_key_ref.name or "")
        if wanted is not None and wanted.secret_key_ref is not None:
            secrets.add(wanted.secret_key_ref.name or "")
    return config_maps, secrets


def environment(pod: Pod, container: AnyContainer, inputs: Inputs) -> tuple[tuple[str, str], ...]:
    """Names and values in the order of the spec, Service variables last; an own variable wins over a Service's."""
    services = service_variables(pod, inputs.services)
    own: dict[str, str] = dict(_from_sources(pod, container, inputs))
    for variable in container.env:
        if variable.value_from is None:
            own[variable.name] = expand(variable.value or "", own, services)
            continue
        value = _value(pod, container, variable.value_from, inputs)
        if value is not None:
            own[variable.name] = value
    return (*own.items(), *((name, value) for name, value in services.items() if name not in own))


def expand(text: str, *tables: Mapping[str, str]) -> str:
    """Replace $(NAME); `$$` is a dollar sign; an unknown name stays as it is written."""
    if "$" not in text:
        return text

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        if name is None:
            return "$"
        for table in tables:
            if name in table:
                return table[name]
        return match.group()

    return _REFERENCE.sub(value, text)


def _from_sources(pod: Pod, container: AnyContainer, inputs: Inputs) -> Iterable[tuple[str, str]]:
    for source in container.env_from:
        prefix = source.prefix or ""
        if source.config_map_ref is not None:
            reference = source.config_map_ref
            config_map = _config_map(inputs, reference.name or "", bool(reference.optional))
            data = config_map.data if config_map is not None else {}
        elif source.secret_ref is not None:
            secret = _secret(inputs, source.secret_ref.name or "", bool(source.secret_ref.optional))
            data = {} if secret is None else {key: _text(value) for key, value in secret.data.items()}
        else:
            data = {}
        for key, value in data.items():
            if prefix + key and "=" not in prefix + key:
                yield prefix + key, value


def _value(pod: Pod, container: AnyContainer, source: EnvVarSource, inputs: Inputs) -> str | None:
    if source.field_ref is not None:
        return field_value(pod, source.field_ref.field_path, inputs)
    if source.resource_field_ref is not None:
        return resource_value(pod, container, source.resource_field_ref, inputs.allocatable)
    namespace = pod.metadata.namespace
    if source.config_map_key_ref is not None:
        wanted = source.config_map_key_ref
        config_map = _config_map(inputs, wanted.name or "", bool(wanted.optional))
        if config_map is not None and wanted.key in config_map.data:
            return config_map.data[wanted.key]
        if wanted.optional:
            return None
        raise ConfigError(f"couldn't find key {wanted.key} in ConfigMap {namespace}/{wanted.name}")
    if source.secret_key_ref is not None:
        chosen = source.secret_key_ref
        secret = _secret(inputs, chosen.name or "", bool(chosen.optional))
        if secret is not None and chosen.key in secret.data:
            return _text(secret.data[chosen.key])
        if chosen.optional:
            return None
        raise ConfigError(f"couldn't find key {chosen.key} in Secret {namespace}/{chosen.name}")
    return None


def _config_map(inputs: Inputs, name: str, optional: bool) -> ConfigMap | None:
    found = inputs.config_maps.get(name)
    if found is None and not optional:
        raise ConfigError(f'configmap "{name}" not found')
    return found


def _secret(inputs: Inputs, name: str, optional: bool) -> Secret | None:
    found = inputs.secrets.get(name)
    if found is None and not optional:
        raise ConfigError(f'secret "{name}" not found')
    return found


def _text(encoded: str) -> str:
    return base64.b64decode(encoded).decode(errors="replace")


# --- downward fields ----------------------------------------------------------------------------------------


def field_value(pod: Pod, path: str, inputs: Inputs) -> str:
    """A field of the pod as text."""
    match = _SUBSCRIPT.fullmatch(path)
    metadata = pod.metadata
    if match is not None:
        table = metadata.labels if match.group(1) == "labels" else metadata.annotations
        return table.get(match.group(2), "")
    simple = {
        "metadata.name": metadata.name,
        "metadata.namespace": metadata.namespace,
        "metadata.uid": metadata.uid,
        "spec.nodeName": pod.spec.node_name or "",
        "spec.serviceAccountName": pod.spec.service_account_name or "",
        "status.hostIP": inputs.host_ips[0] if inputs.host_ips else "",
        "status.hostIPs": ",".join(inputs.host_ips),
        "status.podIP": inputs.pod_ips[0] if inputs.pod_ips else "",
        "status.podIPs": ",".join(inputs.pod_ips),
    }
    if path in simple:
        return simple[path]
    if path == "metadata.labels":
        return format_map(metadata.labels)
    if path == "metadata.annotations":
        return format_map(metadata.annotations)
    raise ConfigError(f"unsupported fieldPath: {path}")


def format_map(table: Mapping[str, str]) -> str:
    """Labels or annotations as a downward file holds them: one `key="value"` a line, sorted."""
    lines = []
    for key in sorted(table):
        value = table[key].replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
        lines.append(f'{key}="{value}"')
    return "\n".join(lines)


def resource_value(
    pod: Pod, container: AnyContainer, wanted: ResourceFieldSelector, allocatable: Mapping[str, str]
) -> str:
    """A request or limit in units of the divisor, rounded up; a limit that is not set is what the node has."""
    chosen = container_named(pod, wanted.container_name) if wanted.container_name else container
    if chosen is None:
        raise ConfigError(f'container "{wanted.container_name}" not found')
    kind, _, name = wanted.resource.partition(".")
    requirements = chosen.resources
    text: str | None
    if kind == "limits":
        text = requirements.limits.get(name) if requirements is not None else None
        if text is None:
            text = allocatable.get(name, "0")
    else:
        text = requirements.requests.get(name, "0") if requirements is not None else "0"
    amount = quantity.parse(text)
    divisor = quantity.parse(wanted.divisor) if wanted.divisor else quantity.Quantity(1)
    if not divisor:
        divisor = quantity.Quantity(1)
    if name == "cpu":
        return str(-(-amount.milli_value() // divisor.milli_value()))
    return str(-(-amount.value() // divisor.value()))


# --- Services -----------------------------------------------------------------------------------------------


def service_variables(pod: Pod, services: Sequence[Service]) -> dict[str, str]:
    """Docker-link variables of the Services of the pod's namespace, and those of the API server for everybody."""
    links = pod.spec.enable_service_links
    namespace = pod.metadata.namespace
    result: dict[str, str] = {}
    master: Service | None = None
    for service in services:
        metadata = service.metadata
        is_master = metadata.namespace == "default" and metadata.name == "kubernetes"
        if is_master:
            master = service
        if metadata.namespace == namespace and (links is None or links) and not is_master:
            result.update(_variables(service))
    if master is not None and "KUBERNETES_SERVICE_HOST" not in result:
        result.update(_variables(master))
    return result


def _variables(service: Service) -> dict[str, str]:
    address = service.spec.cluster_ip
    ports = service.spec.ports
    if not address or address == "None" or not ports:
        return {}
    name = service.metadata.name.replace("-", "_").upper()
    result = {f"{name}_SERVICE_HOST": address, f"{name}_SERVICE_PORT": str(ports[0].port)}
    for port in ports:
        if port.name:
            result[f"{name}_SERVICE_PORT_{port.name.replace('-', '_').upper()}"] = str(port.port)
    host = f"[{address}]" if ":" in address else address
    for index, port in enumerate(ports):
        protocol = port.protocol or "TCP"
        url = f"{protocol.lower()}://{host}:{port.port}"
        prefix = f"{name}_PORT_{port.port}_{protocol.upper()}"
        if index == 0:
            result[f"{name}_PORT"] = url
        result[prefix] = url
        result[f"{prefix}_PROTO"] = protocol.lower()
        result[f"{prefix}_PORT"] = str(port.port)
        result[f"{prefix}_ADDR"] = address
    return result


def with_services(inputs: Inputs, services: Sequence[Service]) -> Inputs:
    """The same inputs, with Services."""
    return structs.replace(inputs, services=services)
