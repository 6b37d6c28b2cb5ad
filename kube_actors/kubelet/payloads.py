"""The files of configMap, secret, downwardAPI and projected volumes, from the objects they come from. Pure.

A payload maps a relative path to its bytes and mode. What is missing and not optional raises `PayloadError` in the
kubelet's words.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence

from msgspec import Struct

from kube_actors.api.types.core_v1 import (
    ConfigMap,
    ConfigMapProjection,
    DownwardAPIProjection,
    DownwardAPIVolumeFile,
    KeyToPath,
    Pod,
    Secret,
    SecretProjection,
    Volume,
    VolumeProjection,
)

from . import environment
from .environment import ConfigError, Inputs
from .model import container_named

DEFAULT_MODE = 0o644


class PayloadError(Exception):
    """The volume cannot be made yet; the message is the kubelet's."""


class File(Struct, frozen=True):
    data: bytes
    mode: int


Payload = dict[str, File]


class Token(Struct, frozen=True, kw_only=True):
    """A service account token that a projected volume wants."""

    path: str
    audience: str = ""
    seconds: int = 3600
    mode: int = DEFAULT_MODE


def projections_of(volume: Volume) -> tuple[Sequence[VolumeProjection], int] | None:
    """A volume as projections and their default mode; None if it is of another kind."""
    if volume.config_map is not None:
        chosen = volume.config_map
        projection = ConfigMapProjection(name=chosen.name, items=chosen.items, optional=chosen.optional)
        return (VolumeProjection(config_map=projection),), _mode(chosen.default_mode)
    if volume.secret is not None:
        wanted = volume.secret
        secret = SecretProjection(name=wanted.secret_name, items=wanted.items, optional=wanted.optional)
        return (VolumeProjection(secret=secret),), _mode(wanted.default_mode)
    if volume.downward_api is not None:
        from_pod = volume.downward_api
        return (_downward(from_pod.items),), _mode(from_pod.default_mode)
    if volume.projected is not None:
        return volume.projected.sources, _mode(volume.projected.default_mode)
    return None


def _downward(items: Sequence[DownwardAPIVolumeFile]) -> VolumeProjection:
    return VolumeProjection(downward_api=DownwardAPIProjection(items=tuple(items)))


def _mode(mode: int | None) -> int:
    return DEFAULT_MODE if mode is None else mode


def references(sources: Sequence[VolumeProjection]) -> tuple[set[str], set[str]]:
    """Names of the ConfigMaps and Secrets that a volume needs."""
    config_maps = {source.config_map.name or "" for source in sources if source.config_map is not None}
    secrets = {source.secret.name or "" for source in sources if source.secret is not None}
    return config_maps, secrets


def tokens_of(sources: Sequence[VolumeProjection], mode: int) -> list[Token]:
    """The service account tokens among the sources."""
    return [
        Token(
            path=source.service_account_token.path,
            audience=source.service_account_token.audience or "",
            seconds=source.service_account_token.expiration_seconds or 3600,
            mode=mode,
        )
        for source in sources
        if source.service_account_token is not None
    ]


def payload(pod: Pod, sources: Sequence[VolumeProjection], default_mode: int, inputs: Inputs) -> Payload:
    """All files but tokens; a later source wins."""
    result: Payload = {}
    for source in sources:
        if source.config_map is not None:
            result |= _config_map(pod, source.config_map, default_mode, inputs)
        if source.secret is not None:
            result |= _secret(pod, source.secret, default_mode, inputs)
        if source.downward_api is not None:
            for item in source.downward_api.items:
                mode = default_mode if item.mode is None else item.mode
                result[_safe(item.path)] = File(_field(pod, item, inputs).encode(), mode)
    return result


def _config_map(pod: Pod, wanted: ConfigMapProjection, mode: int, inputs: Inputs) -> Payload:
    found: ConfigMap | None = inputs.config_maps.get(wanted.name or "")
    if found is None:
        if wanted.optional:
            return {}
        raise PayloadError(f'configmap "{wanted.name}" not found')
    data = {key: text.encode() for key, text in found.data.items()}
    data |= {key: base64.b64decode(text) for key, text in found.binary_data.items()}
    return _select(data, wanted.items, mode, bool(wanted.optional))


def _secret(pod: Pod, wanted: SecretProjection, mode: int, inputs: Inputs) -> Payload:
    found: Secret | None = inputs.secrets.get(wanted.name or "")
    if found is None:
        if wanted.optional:
            return {}
        raise PayloadError(f'secret "{wanted.name}" not found')
    data = {key: base64.b64decode(text) for key, text in found.data.items()}
    return _select(data, wanted.items, mode, bool(wanted.optional))


def _select(data: Mapping[str, bytes], items: Sequence[KeyToPath], mode: int, optional: bool) -> Payload:
    if not items:
        return {_safe(key): File(value, mode) for key, value in data.items()}
    result: Payload = {}
    for item in items:
        if item.key not in data:
            if optional:
                continue
            raise PayloadError(f"references non-existent config key: {item.key}")
        result[_safe(item.path)] = File(data[item.key], mode if item.mode is None else item.mode)
    return result


def _field(pod: Pod, item: DownwardAPIVolumeFile, inputs: Inputs) -> str:
    try:
        if item.field_ref is not None:
            return environment.field_value(pod, item.field_ref.field_path, inputs)
        if item.resource_field_ref is not None:
            named = container_named(pod, item.resource_field_ref.container_name or "")
            chosen = named or pod.spec.containers[0]
            return environment.resource_value(pod, chosen, item.resource_field_ref, inputs.allocatable)
    except ConfigError as error:
        raise PayloadError(str(error)) from error
    return ""


def _safe(path: str) -> str:
    """A path that stays inside its volume; validation has refused others already."""
    parts = path.split("/")
    if path.startswith("/") or ".." in parts or parts[0].startswith(".."):
        raise PayloadError(f"invalid path: {path}")
    return path
