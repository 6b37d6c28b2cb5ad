"""DefaultIngressClass: an Ingress that names no class gets the default one, if there is one."""

from __future__ import annotations

from kube_actors.apiserver.admission.chain import Attempt, Step

_PREFIX = "/registry/networking.k8s.io/ingressclasses/"
_IS_DEFAULT = "ingressclass.kubernetes.io/is-default-class"
_OLD_ANNOTATION = "kubernetes.io/ingress.class"


class DefaultIngressClass(Step):
    """See the module."""

    name = "DefaultIngressClass"
    only = frozenset({("networking.k8s.io", "ingresses")})

    async def complete(self, attempt: Attempt) -> None:
        ingress = attempt.obj
        if attempt.operation != "CREATE" or ingress is None or not attempt.concerns("networking.k8s.io", "ingresses"):
            return
        spec = ingress.setdefault("spec", {})
        if spec.get("ingressClassName") is not None or _OLD_ANNOTATION in (
            ingress["metadata"].get("annotations") or {}
        ):
            return
        known = await attempt.call.core.mirrors.of(_PREFIX).read()
        defaults = [
            found["metadata"]
            for found in known.values()
            if (found["metadata"].get("annotations") or {}).get(_IS_DEFAULT) == "true"
        ]
        if defaults:
            newest = max(metadata["creationTimestamp"] for metadata in defaults)
            names = [metadata["name"] for metadata in defaults if metadata["creationTimestamp"] == newest]
            spec["ingressClassName"] = min(names)
