"""What is wrong with a Service, Endpoints or EndpointSlice. Pure; taken addresses and ports are `allocation`'s."""

from __future__ import annotations

from kube_actors.api import field_errors as fields
from kube_actors.api import names
from kube_actors.apiserver.meta import labels_problems
from kube_actors.apiserver.strategies import checks, ingress_validation
from kube_actors.apiserver.strategies.checks import JSONObject, Problems, named

_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_FAMILIES = ("IPv4", "IPv6")
_AFFINITY_MOST = 86400
_POLICIES = ("SingleStack", "PreferDualStack", "RequireDualStack")
_TRAFFIC = ("Cluster", "Local")


def service(obj: JSONObject) -> Problems:
    """As ValidateService."""
    spec = obj["spec"]
    kind, address = spec.get("type", ""), spec.get("clusterIP", "")
    found: Problems = []
    if not spec.get("ports") and address != "None" and kind != "ExternalName":
        found.append(fields.required("spec.ports"))
    found += _by_type(spec, kind, address)
    found += _ports(spec, kind, address)
    if spec.get("selector"):
        found += labels_problems(spec["selector"], "spec.selector")
    affinity = spec.get("sessionAffinity", "")
    found += checks.one_of(affinity, ("ClientIP", "None"), "spec.sessionAffinity", required=True)
    if affinity == "ClientIP":
        seconds = ((spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}).get("timeoutSeconds", 1)
        if not 0 < seconds <= _AFFINITY_MOST:
            path = "spec.sessionAffinityConfig.clientIP.timeoutSeconds"
            text = f"must be greater than 0 and less than {_AFFINITY_MOST}"
            found.append(fields.invalid(path, seconds, text))
    found += _families(spec, kind)
    for index, external in enumerate(spec.get("externalIPs") or ()):
        path = f"spec.externalIPs[{index}]"
        found += checks.ip(external, path) or checks.usable_ip(external, path)
    if not kind:
        found.append(fields.required("spec.type"))
    elif kind not in _TYPES:
        found.append(fields.not_supported("spec.type", kind, _TYPES))
    return found + _node_ports(spec, kind) + _load_balancer(spec, kind) + _traffic(spec, kind)


def _by_type(spec: JSONObject, kind: str, address: str) -> Problems:
    found: Problems = []
    if kind == "LoadBalancer" and address == "None":
        text = "may not be set to 'None' for LoadBalancer services"
        found.append(fields.invalid("spec.clusterIPs[0]", address, text))
    if kind == "NodePort" and address == "None":
        text = "may not be set to 'None' for NodePort services"
        found.append(fields.invalid("spec.clusterIPs[0]", address, text))
    if kind == "ExternalName":
        if spec.get("clusterIPs"):
            found.append(fields.forbidden("spec.clusterIPs", "may not be set for ExternalName services"))
        name = spec.get("externalName", "").removesuffix(".")
        if name:
            found += named(names.dns_subdomain(name), spec["externalName"], "spec.externalName")
        else:
            found.append(fields.required("spec.externalName"))
    return found


def _ports(spec: JSONObject, kind: str, address: str) -> Problems:
    found: Problems = []
    listed = spec.get("ports") or ()
    seen: set[str] = set()
    for index, port in enumerate(listed):
        at = f"spec.ports[{index}]"
        name = port.get("name", "")
        if len(listed) > 1 and not name:
            found.append(fields.required(f"{at}.name"))
        elif name:
            found += named(names.dns_label(name), name, f"{at}.name")
            if name in seen:
                found.append(fields.duplicate(f"{at}.name", name))
            seen.add(name)
        found += checks.port(port.get("port", 0), f"{at}.port")
        found += checks.one_of(port.get("protocol"), checks.PROTOCOLS, f"{at}.protocol", required=True)
        target = port.get("targetPort", 0)
        if kind != "ExternalName":
            found += checks.port_or_name(target, f"{at}.targetPort")
        if port.get("appProtocol") is not None:
            value = port["appProtocol"]
            found += named(names.qualified_name(value), value, f"{at}.appProtocol")
    taken: set[tuple[str, int]] = set()
    for index, port in enumerate(listed):
        key = (port.get("protocol", ""), port.get("port", 0))
        if key in taken:
            shown = {
                "Name": "",
                "Protocol": key[0],
                "AppProtocol": None,
                "Port": key[1],
                "TargetPort": 0,
                "NodePort": 0,
            }
            found.append(fields.duplicate(f"spec.ports[{index}]", checks.go_value(shown)))
        taken.add(key)
    return found


def _families(spec: JSONObject, kind: str) -> Problems:
    """As ValidateServiceClusterIPsRelatedFields."""
    found: Problems = []
    addresses, families = spec.get("clusterIPs") or [], spec.get("ipFamilies") or []
    address = spec.get("clusterIP", "")
    if kind == "ExternalName":
        return found
    if address and addresses and addresses[0] != address:
        found.append(fields.invalid("spec.clusterIPs", addresses, "first value must match `clusterIP`"))
    for index, family in enumerate(families):
        if family not in _FAMILIES:
            found.append(fields.not_supported(f"spec.ipFamilies[{index}]", family, _FAMILIES))
    if len(families) == 2 and families[0] == families[1]:
        found.append(fields.duplicate("spec.ipFamilies[1]", families[1]))
    policy = spec.get("ipFamilyPolicy")
    if policy is not None and policy not in _POLICIES:
        found.append(fields.not_supported("spec.ipFamilyPolicy", policy, _POLICIES))
    for index, value in enumerate(addresses):
        path = f"spec.clusterIPs[{index}]"
        if value == "None":
            if index:
                found.append(fields.invalid(path, value, "may not be set to 'None' for a secondary"))
            continue
        problems = checks.ip(value, path)
        found += problems
        parsed = checks.parse_ip(value)
        if not problems and parsed is not None and index < len(families) and f"IPv{parsed.version}" != families[index]:
            text = f"expected an {families[index]} value as indicated by `ipFamilies[{index}]`"
            found.append(fields.invalid(path, value, text))
    return found


def _node_ports(spec: JSONObject, kind: str) -> Problems:
    found: Problems = []
    if kind == "ClusterIP":
        for index, port in enumerate(spec.get("ports") or ()):
            if port.get("nodePort"):
                text = "may not be used when `type` is 'ClusterIP'"
                found.append(fields.forbidden(f"spec.ports[{index}].nodePort", text))
    taken: set[tuple[str, int]] = set()
    for index, port in enumerate(spec.get("ports") or ()):
        if not port.get("nodePort"):
            continue
        key = (port.get("protocol", ""), port["nodePort"])
        if key in taken:
            text = "provided port is already allocated"
            found.append(fields.invalid(f"spec.ports[{index}].nodePort", port["nodePort"], text))
        taken.add(key)
    return found


def _load_balancer(spec: JSONObject, kind: str) -> Problems:
    found: Problems = []
    name = spec.get("loadBalancerClass")
    if kind != "LoadBalancer":
        if spec.get("allocateLoadBalancerNodePorts") is not None:
            text = "may only be used when `type` is 'LoadBalancer'"
            found.append(fields.forbidden("spec.allocateLoadBalancerNodePorts", text))
        if name is not None:
            text = "may only be used when `type` is 'LoadBalancer'"
            found.append(fields.forbidden("spec.loadBalancerClass", text))
    elif name is not None:
        found += named(names.qualified_name(name), name, "spec.loadBalancerClass")
    return found


def _traffic(spec: JSONObject, kind: str) -> Problems:
    found: Problems = []
    external = spec.get("externalTrafficPolicy")
    facing = kind in ("NodePort", "LoadBalancer") or (kind == "ClusterIP" and spec.get("externalIPs"))
    if external is not None:
        if not facing:
            text = "may only be set for externally-accessible services"
            found.append(fields.invalid("spec.externalTrafficPolicy", external, text))
        elif external not in _TRAFFIC:
            found.append(fields.not_supported("spec.externalTrafficPolicy", external, _TRAFFIC))
    internal = spec.get("internalTrafficPolicy")
    if internal is not None and internal not in _TRAFFIC:
        found.append(fields.not_supported("spec.internalTrafficPolicy", internal, _TRAFFIC))
    return found


def service_update(new: JSONObject, old: JSONObject) -> Problems:
    """A cluster address is for life, unless the type gives it up."""
    found: Problems = []
    spec, before = new["spec"], old["spec"]
    if "ExternalName" not in (spec.get("type"), before.get("type")):
        had, has = before.get("clusterIPs") or [], spec.get("clusterIPs") or []
        if had and has and had[0] != has[0]:
            found.append(fields.invalid("spec.clusterIPs[0]", has, "may not change once set"))
    if spec.get("type") == before.get("type") == "LoadBalancer" and spec.get("loadBalancerClass") != before.get(
        "loadBalancerClass"
    ):
        text = "may not change once set"
        found.append(fields.invalid("spec.loadBalancerClass", spec.get("loadBalancerClass"), text))
    return found + service(new)


def stack_problems(spec: JSONObject, version: int) -> Problems:
    """What a cluster of one family cannot give."""
    if spec.get("type") == "ExternalName":
        return []
    headless = spec.get("clusterIP") == "None" and not spec.get("selector")
    if headless:
        return []
    found: Problems = []
    for index, family in enumerate(spec.get("ipFamilies") or ()):
        if family in _FAMILIES and family != f"IPv{version}":
            found.append(fields.invalid(f"spec.ipFamilies[{index}]", family, "not configured on this cluster"))
    if spec.get("ipFamilyPolicy") == "RequireDualStack":
        text = "this cluster is not configured for dual-stack services"
        found.append(fields.invalid("spec.ipFamilyPolicy", "RequireDualStack", text))
    return found


def service_status(new: JSONObject) -> Problems:
    """As ValidateLoadBalancerStatus for Services."""
    status = (new.get("status") or {}).get("loadBalancer") or {}
    found: Problems = []
    if new["spec"].get("type") != "LoadBalancer" and status.get("ingress"):
        text = "may only be used when `spec.type` is 'LoadBalancer'"
        found.append(fields.forbidden("status.loadBalancer.ingress", text))
    return found + ingress_validation.load_balancer(status, "status.loadBalancer", modes=True)


def endpoints(obj: JSONObject) -> Problems:
    """As ValidateEndpoints."""
    found: Problems = []
    for index, subset in enumerate(obj.get("subsets") or ()):
        at = f"subsets[{index}]"
        if not subset.get("addresses") and not subset.get("notReadyAddresses"):
            found.append(fields.required(at, "must specify `addresses` or `notReadyAddresses`"))
        for key in ("addresses", "notReadyAddresses"):
            for position, address in enumerate(subset.get(key) or ()):
                path = f"{at}.{key}[{position}]"
                found += checks.ip(address.get("ip", ""), f"{path}.ip")
                if address.get("hostname"):
                    found += named(names.dns_label(address["hostname"]), address["hostname"], f"{path}.hostname")
                found += checks.usable_ip(address.get("ip", ""), f"{path}.ip")
        ports = subset.get("ports") or ()
        for position, port in enumerate(ports):
            path = f"{at}.ports[{position}]"
            name = port.get("name", "")
            if not name and len(ports) > 1:
                found.append(fields.required(f"{path}.name"))
            elif name:
                found += named(names.dns_label(name), name, f"{path}.name")
            found += checks.port(port.get("port", 0), f"{path}.port")
            found += checks.one_of(port.get("protocol"), checks.PROTOCOLS, f"{path}.protocol", required=True)
    return found


_ENDPOINTS_MOST, _ADDRESSES_MOST, _PORTS_MOST, _ZONES_MOST = 1000, 100, 20_000, 8


def _endpoint(endpoint: JSONObject, path: str) -> Problems:
    """What is said of an endpoint besides its addresses."""
    found: Problems = []
    node, host = endpoint.get("nodeName"), endpoint.get("hostname")
    if node is not None:
        found += named(names.dns_subdomain(node), node, f"{path}.nodeName")
    if host is not None:
        found += named(names.dns_label(host), host, f"{path}.hostname")
    zones = (endpoint.get("hints") or {}).get("forZones") or ()
    if len(zones) > _ZONES_MOST:
        return [*found, fields.too_many(f"{path}.hints.forZones", len(zones), _ZONES_MOST)]
    seen: set[str] = set()
    for index, zone in enumerate(zones):
        at, name = f"{path}.hints.forZones[{index}].name", zone.get("name", "")
        if name in seen:
            found.append(fields.duplicate(at, name))
        seen.add(name)
        found += named(names.label_value(name), name, at)
    return found


def endpoint_slice(obj: JSONObject) -> Problems:
    """As ValidateEndpointSlice."""
    found: Problems = []
    if len(obj.get("endpoints") or ()) > _ENDPOINTS_MOST:
        found.append(fields.too_many("endpoints", len(obj["endpoints"]), _ENDPOINTS_MOST))
    kind = obj.get("addressType", "")
    for index, endpoint in enumerate(obj.get("endpoints") or ()):
        at = f"endpoints[{index}]"
        addresses = endpoint.get("addresses") or ()
        if not addresses:
            found.append(fields.required(f"{at}.addresses", "must contain at least 1 address"))
        elif len(addresses) > _ADDRESSES_MOST:
            found.append(fields.too_many(f"{at}.addresses", len(addresses), _ADDRESSES_MOST))
        for position, address in enumerate(addresses):
            path = f"{at}.addresses[{position}]"
            if kind == "FQDN":
                found += named(names.dns_subdomain(address), address, path)
                continue
            parsed = checks.parse_ip(address)
            if parsed is None:
                found += checks.ip(address, path)
            elif kind in _FAMILIES and f"IPv{parsed.version}" != kind:
                found.append(fields.invalid(path, address, f"must be an {kind} address"))
            else:
                found += checks.usable_ip(address, path)
        found += _endpoint(endpoint, at)
    if len(obj.get("ports") or ()) > _PORTS_MOST:
        found.append(fields.too_many("ports", len(obj["ports"]), _PORTS_MOST))
    seen: set[str] = set()
    for index, port in enumerate(obj.get("ports") or ()):
        at = f"ports[{index}]"
        name = port.get("name") or ""
        if name:
            found += named(names.dns_label(name), name, f"{at}.name")
        if name in seen:
            found.append(fields.duplicate(f"{at}.name", name))
        seen.add(name)
        found += checks.one_of(port.get("protocol"), checks.PROTOCOLS, f"{at}.protocol", required=True)
        if port.get("appProtocol") is not None:
            value = port["appProtocol"]
            found += named(names.qualified_name(value), value, f"{at}.appProtocol")
    if not kind:
        found.insert(0, fields.required("addressType"))
    elif kind not in (*_FAMILIES, "FQDN"):
        found.insert(0, fields.not_supported("addressType", kind, ["FQDN", "IPv4", "IPv6"]))
    return found
