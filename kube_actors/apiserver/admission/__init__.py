"""Admission: ordered steps that complete or refuse a write before it is stored."""

from __future__ import annotations

from kube_actors.apiserver.admission.chain import Step


def default_steps() -> list[Step]:
    """The steps that kube-apiserver runs by default, in its order, as far as they are here."""
    from kube_actors.apiserver.admission.namespace_lifecycle import NamespaceLifecycle

    return [NamespaceLifecycle()]
