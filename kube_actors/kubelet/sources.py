"""ConfigMaps and Secrets that pods refer to, fetched when they are needed and shared by the pods of a node.

An entry is used as long as the caller allows; a start asks for fresh ones, a refresh of mounted volumes for some
seconds old. That an object does not exist is an answer too. The cluster's root certificates, which nearly every pod
mounts and which hardly ever change, may be some seconds old at a start as well, but they have to have been there.
"""

from __future__ import annotations

from typing import Any, TypeVar

from kube_actors.actors import System
from kube_actors.api.errors import ApiError
from kube_actors.api.types.core_v1 import ConfigMap, Secret
from kube_actors.client import Client

from . import limits

T = TypeVar("T")

_CAPACITY = 1024
_ROOT_CA = "kube-root-ca.crt"


class Sources:
    """The cache of one node. Raises ApiError (but for 404) and TransportError as the client does."""

    def __init__(self, client: Client, system: System) -> None:
        self._client = client
        self._clock = system.clock
        self._kept: dict[tuple[str, str, str], tuple[float, Any]] = {}

    async def config_map(self, namespace: str, name: str, max_age: float = 0.0) -> ConfigMap | None:
        if name == _ROOT_CA and not max_age:
            kept = self._kept.get((ConfigMap.__name__, namespace, name))
            if kept is not None and kept[1] is not None:
                max_age = limits.ROOT_CA_TTL
        return await self._get(ConfigMap, namespace, name, max_age)

    async def secret(self, namespace: str, name: str, max_age: float = 0.0) -> Secret | None:
        return await self._get(Secret, namespace, name, max_age)

    async def _get(self, kind: type[T], namespace: str, name: str, max_age: float) -> T | None:
        key = (kind.__name__, namespace, name)
        kept = self._kept.get(key)
        if kept is not None and max_age and self._clock.monotonic() - kept[0] <= max_age:
            value: T | None = kept[1]
            return value
        found: T | None
        try:
            found = await self._client.get(kind, name, namespace=namespace)
        except ApiError as error:
            if not error.is_not_found:
                raise
            found = None
        while len(self._kept) >= _CAPACITY:
            self._kept.pop(next(iter(self._kept)))
        self._kept.pop(key, None)
        self._kept[key] = (self._clock.monotonic(), found)
        return found
