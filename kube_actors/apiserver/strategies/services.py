"""Service, Endpoints and EndpointSlice. Addresses and ports themselves are `allocation`'s to give."""

from __future__ import annotations

from ipaddress import ip_address

from kube_actors.api import names
from kube_actors.apiserver.strategies import checks
from kube_actors.apiserver.strategies import service_validation as rules
from kube_actors.apiserver.strategies.base import JSONObject, Problems, Selectable, Strategy

_AFFINITY_SECONDS = 10800
ENDPOINTS_WARNING = "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"


_TOPOLOGY_HINTS = "service.kubernetes.io/topology-aware-hints"


def service_warnings(obj: JSONObject, old: JSONObject | None) -> list[str]:
    """As GetWarningsForService."""
    spec = obj["spec"]
    found = []
    if _TOPOLOGY_HINTS in (obj["metadata"].get("annotations") or {}):
        found.append(f"metadata.annotations[{_TOPOLOGY_HINTS}]: please use service.kubernetes.io/topology-mode instead")
    if spec.get("clusterIP") == "None":
        if spec.get("loadBalancerIP"):
            found.append('spec.loadBalancerIP is ignored when spec.clusterIP is "None"')
        if spec.get("externalIPs"):
            found.append('spec.externalIPs is ignored when spec.clusterIP is "None"')
        if spec.get("sessionAffinity") not in (None, "", "None"):
            found.append("spec.SessionAffinity is ignored for headless services")
    if spec.get("externalIPs"):
        found.append("spec.externalIPs is deprecated and may no longer be implemented in some clusters")
    if spec.get("externalName") and spec.get("type") != "ExternalName":
        found.append('spec.externalName is ignored when spec.type is not "ExternalName"')
    if spec.get("trafficDistribution") == "PreferClose":
        found.append('spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"')
    return found


class ServiceStrategy(Strategy):
    """Service."""

    returns_deleted = True
    create_on_update = True
    field_complaint = "field label not supported: {field}"
    selectable: Selectable = {
        "spec.clusterIP": lambda obj: str(obj["spec"].get("clusterIP", "")),
        "spec.type": lambda obj: str(obj["spec"].get("type", "")),
    }

    def default(self, obj: JSONObject) -> None:
        spec = obj["spec"]
        spec.setdefault("sessionAffinity", "None")
        if spec["sessionAffinity"] == "None":
            spec.pop("sessionAffinityConfig", None)
        elif spec["sessionAffinity"] == "ClientIP":
            client = spec.setdefault("sessionAffinityConfig", {}).setdefault("clientIP", {})
            client.setdefault("timeoutSeconds", _AFFINITY_SECONDS)
        spec.setdefault("type", "ClusterIP")
        for port in spec.get("ports") or ():
            port.setdefault("protocol", "TCP")
            if port.get("targetPort") in (None, 0, ""):
                port["targetPort"] = port.get("port", 0)
        if spec["type"] in ("NodePort", "LoadBalancer") or spec.get("externalIPs"):
            spec.setdefault("externalTrafficPolicy", "Cluster")
        if spec["type"] != "ExternalName":
            spec.setdefault("internalTrafficPolicy", "Cluster")
        if spec["type"] == "LoadBalancer":
            spec.setdefault("allocateLoadBalancerNodePorts", True)
        for ingress in ((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ():
            if ingress.get("ip"):
                ingress.setdefault("ipMode", "VIP")
        _mirror_cluster_ip(spec)

    def warnings(self, obj: JSONObject, old: JSONObject | None) -> list[str]:
        return service_warnings(obj, old)

    def validate_status(self, new: JSONObject, old: JSONObject) -> Problems:
        return rules.service_status(new)

    def prepare_create(self, obj: JSONObject) -> None:
        _settle_families(obj["spec"])
        _drop_what_the_type_has_not(obj["spec"])

    def prepare_update(self, new: JSONObject, old: JSONObject) -> None:
        """Keep what was allocated, unless the type no longer has it."""
        spec, before = new["spec"], old["spec"]
        if spec["type"] == "ExternalName":
            if before.get("type") != "ExternalName" and spec.get("clusterIP") == before.get("clusterIP"):
                spec.pop("clusterIP", None)
                spec.pop("clusterIPs", None)
        elif before.get("type") != "ExternalName" and not spec.get("clusterIP"):
            for key in ("clusterIP", "clusterIPs"):
                if key in before:
                    spec[key] = before[key]
        for key in ("ipFamilies", "ipFamilyPolicy"):
            if key in before and spec["type"] != "ExternalName":
                spec.setdefault(key, before[key])
        if _has_node_ports(spec) and _has_node_ports(before):
            _keep_node_ports(spec, before)
        _settle_families(spec)
        _drop_what_the_type_has_not(spec, before)

    def name_problems(self, name: str) -> list[str]:
        return names.dns_label(name)

    def validate(self, obj: JSONObject) -> Problems:
        return rules.service(obj)

    def validate_update(self, new: JSONObject, old: JSONObject) -> Problems:
        return rules.service_update(new, old)


def _mirror_cluster_ip(spec: JSONObject) -> None:
    if spec.get("clusterIP") and not spec.get("clusterIPs"):
        spec["clusterIPs"] = [spec["clusterIP"]]
    elif spec.get("clusterIPs") and not spec.get("clusterIP"):
        spec["clusterIP"] = spec["clusterIPs"][0]


def _settle_families(spec: JSONObject) -> None:
    """One family unless the client names more."""
    if spec["type"] == "ExternalName":
        return
    address = spec.get("clusterIP", "")
    if address == "None":
        if spec.get("selector"):
            spec.setdefault("ipFamilies", ["IPv4"])
            spec.setdefault("ipFamilyPolicy", "SingleStack")
        else:
            spec.setdefault("ipFamilyPolicy", "RequireDualStack")
            if spec["ipFamilyPolicy"] == "SingleStack":
                spec.setdefault("ipFamilies", ["IPv4"])
            else:
                families = spec.setdefault("ipFamilies", ["IPv4", "IPv6"])
                if len(families) == 1:
                    spec["ipFamilies"] = [families[0], "IPv6" if families[0] == "IPv4" else "IPv4"]
        return
    family = "IPv4"
    if address:
        try:
            family = f"IPv{ip_address(address).version}"
        except ValueError:
            return
    spec.setdefault("ipFamilies", [family])
    spec.setdefault("ipFamilyPolicy", "SingleStack")


def _drop_what_the_type_has_not(spec: JSONObject, before: JSONObject | None = None) -> None:
    """A field that only another type has goes when it has merely been carried over."""
    kind = spec["type"]
    if before is None or before.get("type") == kind:
        return
    if kind in ("ClusterIP", "ExternalName"):
        for port in spec.get("ports") or ():
            port.pop("nodePort", None)
    if kind not in ("NodePort", "LoadBalancer") and not spec.get("externalIPs"):
        _drop_same(spec, before, "externalTrafficPolicy")
    if kind != "LoadBalancer":
        for key in ("allocateLoadBalancerNodePorts", "loadBalancerClass", "healthCheckNodePort"):
            _drop_same(spec, before, key)
    if kind == "ExternalName":
        for key in ("ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy", "clusterIP", "clusterIPs"):
            _drop_same(spec, before, key)
    elif before.get("type") == "ExternalName":
        _drop_same(spec, before, "externalName")


def _drop_same(spec: JSONObject, before: JSONObject, key: str) -> None:
    if spec.get(key) == before.get(key):
        spec.pop(key, None)


def _has_node_ports(spec: JSONObject) -> bool:
    return spec.get("type") in ("NodePort", "LoadBalancer")


def _keep_node_ports(spec: JSONObject, before: JSONObject) -> None:
    """A port that names no node port keeps the one it had."""
    known = {(port.get("protocol"), port.get("port")): port.get("nodePort") for port in before.get("ports") or ()}
    used = {port["nodePort"] for port in spec.get("ports") or () if port.get("nodePort")}
    for port in spec.get("ports") or ():
        number = known.get((port.get("protocol"), port.get("port")))
        if number and not port.get("nodePort") and number not in used:
            port["nodePort"] = number


class EndpointsStrategy(Strategy):
    """Endpoints."""

    create_on_update = True
    deprecation = ENDPOINTS_WARNING

    def default(self, obj: JSONObject) -> None:
        for subset in obj.get("subsets") or ():
            for port in subset.get("ports") or ():
                port.setdefault("protocol", "TCP")

    def validate(self, obj: JSONObject) -> Problems:
        return rules.endpoints(obj)


class EndpointSliceStrategy(Strategy):
    """EndpointSlice."""

    generation = True

    def default(self, obj: JSONObject) -> None:
        for port in obj.get("ports") or ():
            port.setdefault("name", "")
            port.setdefault("protocol", "TCP")

    def validate(self, obj: JSONObject) -> Problems:
        return rules.endpoint_slice(obj)

    def validate_update(self, new: JSONObject, old: JSONObject) -> Problems:
        return rules.endpoint_slice(new) + checks.immutable(
            new.get("addressType"), old.get("addressType"), "addressType"
        )

    def desired(self, obj: JSONObject) -> object:
        """Everything but most of the metadata."""
        metadata = {key: obj["metadata"].get(key) for key in ("labels", "annotations", "ownerReferences")}
        return metadata, obj.get("addressType"), obj.get("endpoints"), obj.get("ports")
