"""The network: Services and what stands behind and before them."""

from __future__ import annotations

from kube_actors.apiserver.tables.printer import (
    NONE,
    UNSET,
    Cells,
    Column,
    JSONObject,
    Printer,
    age_column,
    age_of,
    at,
    items,
    labels_text,
    name_column,
    name_of,
    part,
    selector_text,
    some,
    wide,
)


def _service(obj: JSONObject, now: float) -> Cells:
    spec = part(obj, "spec")
    addresses = spec.get("clusterIPs") or ([spec["clusterIP"]] if spec.get("clusterIP") else [])
    return [
        name_of(obj),
        spec.get("type", "ClusterIP"),
        addresses[0] if addresses else NONE,
        _external(obj),
        _ports(spec),
        age_of(obj, now),
        labels_text(spec.get("selector")),
    ]


def _external(obj: JSONObject) -> str:
    spec = part(obj, "spec")
    kind = spec.get("type", "ClusterIP")
    given = spec.get("externalIPs") or []
    if kind == "ExternalName":
        return spec.get("externalName") or NONE
    if kind == "LoadBalancer":
        balanced = sorted(
            {e.get("ip") or e.get("hostname", "") for e in items(obj, "status", "loadBalancer", "ingress")}
        )
        return ",".join([*balanced, *given]) or "<pending>"
    return ",".join(given) or NONE


def _ports(spec: JSONObject) -> str:
    words = []
    for port in spec.get("ports") or []:
        node = f":{port['nodePort']}" if port.get("nodePort") else ""
        words.append(f"{port.get('port')}{node}/{port.get('protocol', 'TCP')}")
    return ",".join(words) or NONE


def _endpoints(obj: JSONObject, now: float) -> Cells:
    found = []
    for subset in obj.get("subsets") or []:
        ports = subset.get("ports") or []
        addresses = [address.get("ip", "") for address in subset.get("addresses") or []]
        if not ports:
            found += addresses
        for port in ports:
            found += [f"[{ip}]:{port['port']}" if ":" in ip else f"{ip}:{port['port']}" for ip in addresses]
    return [name_of(obj), some(found) or NONE, age_of(obj, now)]


def _slice(obj: JSONObject, now: float) -> Cells:
    ports = [_slice_port(port) for port in obj.get("ports") or []]
    addresses = [address for endpoint in obj.get("endpoints") or [] for address in endpoint.get("addresses") or []]
    return [name_of(obj), obj.get("addressType", ""), some(ports) or UNSET, some(addresses) or UNSET, age_of(obj, now)]


def _slice_port(port: JSONObject) -> str:
    if port.get("port") is not None:
        return str(port["port"])
    return port.get("name") or "*"


def _ingress(obj: JSONObject, now: float) -> Cells:
    spec = part(obj, "spec")
    hosts = [rule["host"] for rule in spec.get("rules") or [] if rule.get("host")]
    addresses = [e.get("ip") or e.get("hostname", "") for e in items(obj, "status", "loadBalancer", "ingress")]
    ports = "80, 443" if spec.get("tls") else "80"
    shown = some(hosts) or "*"
    return [name_of(obj), spec.get("ingressClassName") or NONE, shown, ",".join(addresses), ports, age_of(obj, now)]


def _ingress_class(obj: JSONObject, now: float) -> Cells:
    spec = part(obj, "spec")
    parameters = spec.get("parameters")
    text = NONE
    if parameters:
        group = f".{parameters['apiGroup']}" if parameters.get("apiGroup") else ""
        text = f"{parameters.get('kind', '')}{group}/{parameters.get('name', '')}"
    return [name_of(obj), spec.get("controller", ""), text, age_of(obj, now)]


def _policy(obj: JSONObject, now: float) -> Cells:
    return [name_of(obj), selector_text(part(obj, "spec").get("podSelector")), age_of(obj, now)]


def _address(obj: JSONObject, now: float) -> Cells:
    parent = part(obj, "spec", "parentRef")
    names = [parent[key] for key in ("resource", "group", "namespace", "name") if parent.get(key)]
    resource = parent.get("resource", "")
    if parent.get("group"):
        resource += f".{parent['group']}"
    where = [parent[key] for key in ("namespace", "name") if parent.get(key)]
    return [name_of(obj), "/".join([resource, *where]) if names else NONE, age_of(obj, now)]


def _service_cidr(obj: JSONObject, now: float) -> Cells:
    return [name_of(obj), ",".join(at(obj, "spec", "cidrs") or []), age_of(obj, now)]


PRINTERS = {
    ("", "Service"): Printer(
        (
            name_column(),
            Column("Type", "=core.v1.ServiceSpec.type"),
            Column("Cluster-IP", "=core.v1.ServiceSpec.clusterIP"),
            Column("External-IP", "=core.v1.ServiceSpec.externalIPs"),
            Column("Port(s)", "=core.v1.ServiceSpec.ports"),
            age_column(),
            wide("Selector", "=core.v1.ServiceSpec.selector"),
        ),
        _service,
    ),
    ("", "Endpoints"): Printer(
        (name_column(), Column("Endpoints", "=core.v1.Endpoints.subsets"), age_column()), _endpoints
    ),
    ("discovery.k8s.io", "EndpointSlice"): Printer(
        (
            name_column(),
            Column("AddressType", "=discovery.v1.EndpointSlice.addressType"),
            Column("Ports", "=discovery.v1.EndpointSlice.ports"),
            Column("Endpoints", "=discovery.v1.EndpointSlice.endpoints"),
            age_column(),
        ),
        _slice,
    ),
    ("networking.k8s.io", "Ingress"): Printer(
        (
            name_column(),
            Column("Class", "The name of the IngressClass resource that should be used for additional configuration"),
            Column("Hosts", "Hosts that incoming requests are matched against before the ingress rule"),
            Column("Address", "Address is a list containing ingress points for the load-balancer"),
            Column("Ports", "Ports of TLS configurations that open"),
            age_column(),
        ),
        _ingress,
    ),
    ("networking.k8s.io", "IngressClass"): Printer(
        (
            name_column(),
            Column("Controller", "Controller that is responsible for handling this class"),
            Column("Parameters", "A reference to a resource with additional parameters"),
            age_column(),
        ),
        _ingress_class,
    ),
    ("networking.k8s.io", "NetworkPolicy"): Printer(
        (name_column(), Column("Pod-Selector", "=networking.v1.NetworkPolicySpec.podSelector"), age_column()), _policy
    ),
    ("networking.k8s.io", "IPAddress"): Printer(
        (name_column(), Column("ParentRef", "=networking.v1.IPAddressSpec.parentRef"), age_column()), _address
    ),
    ("networking.k8s.io", "ServiceCIDR"): Printer(
        (name_column(), Column("CIDRs", "=networking.v1.ServiceCIDRSpec.cidrs"), age_column()), _service_cidr
    ),
}
