"""What is wrong with a NetworkPolicy, an IngressClass, an IPAddress or a ServiceCIDR. Pure."""

from __future__ import annotations

from typing import Any

from kube_actors.api import field_errors as fields
from kube_actors.api import names
from kube_actors.apiserver.strategies import checks
from kube_actors.apiserver.strategies.checks import JSONObject, Problems, named

_PROTOCOLS = ("TCP", "UDP", "SCTP")
_TYPES = ("Ingress", "Egress")
_CONTROLLER_BYTES = 250


def network_policy(obj: JSONObject, old: JSONObject | None = None) -> Problems:
    """As ValidateNetworkPolicy."""
    spec = obj["spec"]
    known = _networks(old["spec"]) if old is not None else frozenset()
    found = checks.label_selector(spec.get("podSelector"), "spec.podSelector")
    for direction, side in (("ingress", "from"), ("egress", "to")):
        for index, rule in enumerate(spec.get(direction) or ()):
            at = f"spec.{direction}[{index}]"
            for position, port in enumerate(rule.get("ports") or ()):
                found += _port(port, f"{at}.ports[{position}]")
            for position, peer in enumerate(rule.get(side) or ()):
                found += _peer(peer, f"{at}.{side}[{position}]", known)
    types = spec.get("policyTypes") or []
    if len(types) > len(_TYPES):
        return [*found, fields.invalid("spec.policyTypes", types, "may not specify more than two policyTypes")]
    for index, kind in enumerate(types):
        if kind not in _TYPES:
            found.append(fields.not_supported(f"spec.policyTypes[{index}]", kind, _TYPES))
    return found


def _networks(spec: JSONObject) -> frozenset[str]:
    """Every network that a policy names already: it may stay, whatever is thought of it today."""
    found: set[str] = set()
    for direction, side in (("ingress", "from"), ("egress", "to")):
        for rule in spec.get(direction) or ():
            for peer in rule.get(side) or ():
                block = peer.get("ipBlock") or {}
                found.update([block.get("cidr", ""), *(block.get("except") or ())])
    return frozenset(found)


def _port(port: JSONObject, path: str) -> Problems:
    found: Problems = []
    protocol, number, end = port.get("protocol"), port.get("port"), port.get("endPort")
    if protocol is not None and protocol not in _PROTOCOLS:
        found.append(fields.not_supported(f"{path}.protocol", protocol, _PROTOCOLS))
    if number is None:
        if end is not None:
            found.append(fields.invalid(f"{path}.endPort", end, "may not be specified when `port` is not specified"))
    elif isinstance(number, int):
        found += checks.port(number, f"{path}.port")
        if end is not None:
            if end < number:
                found.append(fields.invalid(f"{path}.endPort", number, "must be greater than or equal to `port`"))
            found += checks.port(end, f"{path}.endPort")
    else:
        if end is not None:
            found.append(fields.invalid(f"{path}.endPort", end, "may not be specified when `port` is non-numeric"))
        found += named(names.port_name(number), number, f"{path}.port")
    return found


def _peer(peer: JSONObject, path: str, known: frozenset[str]) -> Problems:
    found: Problems = []
    count = 0
    for key in ("podSelector", "namespaceSelector"):
        if peer.get(key) is not None:
            count += 1
            found += checks.label_selector(peer[key], f"{path}.{key}")
    block = peer.get("ipBlock")
    if block is not None:
        count += 1
        found += _block(block, f"{path}.ipBlock", known)
    if not count:
        found.append(fields.required(path, "must specify a peer"))
    elif count > 1 and block is not None:
        found.append(fields.forbidden(path, "may not specify both ipBlock and another peer"))
    return found


def _block(block: JSONObject, path: str, known: frozenset[str]) -> Problems:
    text = block.get("cidr", "")
    if not text:
        return [fields.required(f"{path}.cidr")]
    found: Problems = [] if text in known else checks.cidr(text, f"{path}.cidr", legacy=True)
    whole: Any = checks.parse_cidr(text)
    if whole is None:
        return found
    for index, item in enumerate(block.get("except") or ()):
        at = f"{path}.except[{index}]"
        if item not in known:
            found += checks.cidr(item, at, legacy=True)
        part: Any = checks.parse_cidr(item)
        if part is None:
            continue
        inside = part.version == whole.version and part.subnet_of(whole)
        if not inside or whole.prefixlen >= part.prefixlen:
            found.append(fields.invalid(at, item, "must be a strict subset of `cidr`"))
    return found


def ingress_class(obj: JSONObject) -> Problems:
    """As ValidateIngressClass."""
    spec = obj.get("spec") or {}
    controller = spec.get("controller", "")
    found: Problems = []
    if not controller:
        found.append(fields.required("spec.controller"))
    else:
        if len(controller.encode()) > _CONTROLLER_BYTES:
            found.append(fields.too_long("spec.controller", _CONTROLLER_BYTES))
        found += domain_prefixed_path(controller, "spec.controller")
    parameters = spec.get("parameters")
    return found if parameters is None else found + _parameters(parameters, "spec.parameters")


def _parameters(given: JSONObject, path: str) -> Problems:
    found: Problems = []
    group = given.get("apiGroup")
    if group is not None:
        found += named(names.dns_subdomain(group), group, f"{path}.apiGroup")
    found += checks.path_segment(given.get("kind", ""), f"{path}.kind")
    found += checks.path_segment(given.get("name", ""), f"{path}.name")
    scope, namespace = given.get("scope"), given.get("namespace")
    if scope is None:
        found.append(fields.required(f"{path}.scope"))
    elif scope not in ("Cluster", "Namespace"):
        found.append(fields.not_supported(f"{path}.scope", scope, ["Cluster", "Namespace"]))
    elif scope == "Namespace" and namespace is None:
        found.append(fields.required(f"{path}.namespace", "`parameters.scope` is set to 'Namespace'"))
    elif scope == "Namespace":
        found += named(names.dns_label(namespace or ""), namespace, f"{path}.namespace")
    elif namespace is not None:
        found.append(fields.forbidden(f"{path}.namespace", "`parameters.scope` is set to 'Cluster'"))
    return found


def domain_prefixed_path(value: str, path: str) -> Problems:
    """As IsDomainPrefixedPath: a domain, a slash, the rest."""
    domain, slash, rest = value.partition("/")
    if not value:
        return [fields.required(path)]
    if not slash or not domain or not rest:
        return [fields.invalid(path, value, 'must be a domain-prefixed path (such as "acme.io/foo")')]
    found = named(names.dns_subdomain(domain), domain, path)
    return found or named(names.http_path(rest), rest, path)


def ingress_class_update(new: JSONObject, old: JSONObject) -> Problems:
    before, after = (old.get("spec") or {}).get("controller"), (new.get("spec") or {}).get("controller")
    return checks.immutable(after, before, "spec.controller") + ingress_class(new)


def ip_address_name(name: str) -> list[str]:
    """An IPAddress is named by the address in its canonical spelling."""
    return [problem.detail for problem in checks.canonical_ip(name, "")]


def ip_address(obj: JSONObject) -> Problems:
    """As ValidateIPAddress."""
    parent = (obj.get("spec") or {}).get("parentRef")
    if parent is None:
        return [fields.required("spec.parentRef")]
    at = "spec.parentRef"
    found: Problems = []
    if parent.get("group"):
        found += named(names.dns_subdomain(parent["group"]), parent["group"], f"{at}.group")
    found += checks.path_segment(parent.get("resource", ""), f"{at}.resource")
    found += checks.path_segment(parent.get("name", ""), f"{at}.name")
    return found + checks.path_segment(parent.get("namespace", ""), f"{at}.namespace", required=False)


def ip_address_update(new: JSONObject, old: JSONObject) -> Problems:
    before, after = old["spec"].get("parentRef"), new["spec"].get("parentRef")
    if before == after:
        return []
    order = ("group", "resource", "namespace", "name")
    shown = {key.capitalize(): (after or {}).get(key, "") for key in order}
    return [fields.invalid("spec.parentRef", checks.go_value(shown) if after else None, checks.IMMUTABLE)]


def service_cidr(obj: JSONObject) -> Problems:
    """As ValidateServiceCIDR."""
    listed = (obj.get("spec") or {}).get("cidrs") or []
    path = "spec.cidrs"
    if not listed:
        return [fields.required(path, "at least one CIDR required")]
    if len(listed) > 2:
        return [fields.invalid(path, checks.go_value({"CIDRs": listed}), "may only hold up to 2 values")]
    found: Problems = []
    for index, text in enumerate(listed):
        found += checks.cidr(text, f"{path}[{index}]")
    parsed = [network for network in map(checks.parse_cidr, listed) if network is not None]
    if len(listed) == 2 and len(parsed) == 2 and parsed[0].version == parsed[1].version:
        text = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"
        found.append(fields.invalid(path, listed, text))
    return found


def service_cidr_update(new: JSONObject, old: JSONObject) -> Problems:
    """As ValidateServiceCIDRUpdate: a second family may be added, nothing changed."""
    before, after = old["spec"].get("cidrs") or [], new["spec"].get("cidrs") or []
    grows = len(before) == 1 and len(after) == 2
    if len(before) != len(after) and not grows:
        return [fields.invalid("spec.cidrs", after or None, checks.IMMUTABLE)]
    found: Problems = [
        fields.invalid(f"spec.cidrs[{index}]", after[index], checks.IMMUTABLE)
        for index, text in enumerate(before)
        if text != after[index]
    ]
    return found + service_cidr(new) if grows else found
