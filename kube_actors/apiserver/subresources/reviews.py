"""Kinds that are sent but never stored, as kinds to read bodies with."""

from __future__ import annotations

import functools

from kube_actors.api.resources import Resource
from kube_actors.apiserver.kinds import Kind
from kube_actors.apiserver.strategies.base import Strategy


def _transient(group: str, version: str, kind: str) -> Kind:
    resource = Resource(
        group=group,
        version=version,
        plural=f"{kind.lower()}s",
        singular=kind.lower(),
        kind=kind,
        list_kind=f"{kind}List",
        namespaced=True,
        stored_group=group,
    )
    return Kind(resource, Strategy())


@functools.cache
def scale_kind() -> Kind:
    return _transient("autoscaling", "v1", "Scale")


@functools.cache
def token_request_kind() -> Kind:
    return _transient("authentication.k8s.io", "v1", "TokenRequest")


@functools.cache
def eviction_kind() -> Kind:
    return _transient("policy", "v1", "Eviction")
