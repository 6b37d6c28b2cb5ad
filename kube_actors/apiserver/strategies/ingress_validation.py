"""What is wrong with an Ingress. Pure."""

from __future__ import annotations

from kube_actors.api import field_errors as fields
from kube_actors.api import names
from kube_actors.apiserver.strategies import checks
from kube_actors.apiserver.strategies.checks import JSONObject, Problems, named

_TYPES = ("Exact", "ImplementationSpecific", "Prefix")
_NEVER_INSIDE = ("//", "/./", "/../", "%2f", "%2F")
_NEVER_LAST = ("/..", "/.")
_CLASS = "kubernetes.io/ingress.class"


def ingress(obj: JSONObject) -> Problems:
    """As ValidateIngressSpec."""
    spec = obj["spec"]
    found: Problems = []
    rules, default = spec.get("rules") or [], spec.get("defaultBackend")
    if not rules and default is None:
        found.append(fields.invalid("spec", fields.OMITTED, "either `defaultBackend` or `rules` must be specified"))
    if default is not None:
        found += _backend(default, "spec.defaultBackend")
    for index, rule in enumerate(rules):
        found += _rule(rule, f"spec.rules[{index}]")
    for index, tls in enumerate(spec.get("tls") or ()):
        for position, host in enumerate(tls.get("hosts") or ()):
            found += _host(host, f"spec.tls[{index}].hosts[{position}]")
        secret = tls.get("secretName")
        if secret:
            found += named(names.dns_subdomain(secret), secret, f"spec.tls[{index}].secretName")
    name = spec.get("ingressClassName")
    if name is not None:
        found += named(names.dns_subdomain(name), name, "spec.ingressClassName")
    return found


def _host(host: str, path: str) -> Problems:
    if "*" in host:
        return named(names.wildcard_subdomain(host), host, path)
    return named(names.dns_subdomain(host), host, path)


def _rule(rule: JSONObject, path: str) -> Problems:
    found: Problems = []
    host = rule.get("host", "")
    if host:
        if checks.parse_ip(host) is not None:
            found.append(fields.invalid(f"{path}.host", host, "must be a DNS name, not an IP address"))
        found += _host(host, f"{path}.host")
    http = rule.get("http")
    if http is None:
        return found
    if not http.get("paths"):
        found.append(fields.required(f"{path}.http.paths"))
    for index, item in enumerate(http.get("paths") or ()):
        found += _path(item, f"{path}.http.paths[{index}]")
    return found


def _path(item: JSONObject, path: str) -> Problems:
    found: Problems = []
    kind, where = item.get("pathType"), item.get("path", "")
    if not kind:
        return [fields.required(f"{path}.pathType", "pathType must be specified")]
    if kind in ("Exact", "Prefix"):
        if not where.startswith("/"):
            found.append(fields.invalid(f"{path}.path", where, "must be an absolute path"))
        else:
            found += [
                fields.invalid(f"{path}.path", where, f"must not contain '{part}'")
                for part in _NEVER_INSIDE
                if part in where
            ]
            found += [
                fields.invalid(f"{path}.path", where, f"cannot end with '{part}'")
                for part in _NEVER_LAST
                if where.endswith(part)
            ]
    elif kind == "ImplementationSpecific":
        if where and not where.startswith("/"):
            found.append(fields.invalid(f"{path}.path", where, "must be an absolute path"))
    else:
        found.append(fields.not_supported(f"{path}.pathType", kind, _TYPES))
    return found + _backend(item.get("backend") or {}, f"{path}.backend")


def _backend(backend: JSONObject, path: str) -> Problems:
    service, resource = backend.get("service"), backend.get("resource")
    if service is not None and resource is not None:
        return [fields.invalid(path, "", "cannot set both resource and service backends")]
    if resource is not None:
        return _resource(resource, f"{path}.resource")
    if service is None:
        return [fields.invalid(path, "", "resource or service backend is required")]
    found: Problems = []
    name, port = service.get("name", ""), service.get("port") or {}
    if not name:
        found.append(fields.required(f"{path}.service.name"))
    else:
        found += named(names.dns_label(name), name, f"{path}.service.name")
    if port.get("name") and port.get("number"):
        found.append(fields.invalid(path, "", "cannot set both port name & port number"))
    elif port.get("name"):
        found += named(names.port_name(port["name"]), port["name"], f"{path}.service.port.name")
    elif port.get("number"):
        found += checks.port(port["number"], f"{path}.service.port.number")
    else:
        found.append(fields.required(path, "port name or number is required"))
    return found


def _resource(reference: JSONObject, path: str) -> Problems:
    found: Problems = []
    group = reference.get("apiGroup")
    if group is not None:
        found += named(names.dns_subdomain(group), group, f"{path}.apiGroup")
    found += checks.path_segment(reference.get("kind", ""), f"{path}.kind")
    return found + checks.path_segment(reference.get("name", ""), f"{path}.name")


def ingress_create(obj: JSONObject) -> Problems:
    """What a new Ingress must heed besides."""
    found = ingress(obj)
    told = (obj["metadata"].get("annotations") or {}).get(_CLASS)
    name = obj["spec"].get("ingressClassName")
    if told is not None and name is not None and told != name:
        text = "must match `ingressClassName` when both are specified"
        found.append(fields.invalid(f"annotations.{_CLASS}", told, text))
    return found


def ingress_status(new: JSONObject) -> Problems:
    """As ValidateIngressLoadBalancerStatus."""
    return load_balancer((new.get("status") or {}).get("loadBalancer") or {}, "status.loadBalancer")


def load_balancer(status: JSONObject, path: str, *, modes: bool = False) -> Problems:
    """Where a load balancer listens; modes says whether it may say how it passes addresses on."""
    found: Problems = []
    for index, item in enumerate(status.get("ingress") or ()):
        at = f"{path}.ingress[{index}]"
        if item.get("ip"):
            found += checks.ip(item["ip"], f"{at}.ip")
        mode = item.get("ipMode")
        if modes and item.get("ip") and mode is None:
            found.append(fields.required(f"{at}.ipMode", "must be specified when `ip` is set"))
        elif modes and mode is not None and not item.get("ip"):
            text = "may not be specified when `ip` is not set"
            found.append(fields.forbidden(f"{at}.ipMode", text))
        elif modes and mode is not None and mode not in ("Proxy", "VIP"):
            found.append(fields.not_supported(f"{at}.ipMode", mode, ["Proxy", "VIP"]))
        host = item.get("hostname")
        if host:
            found += named(names.dns_subdomain(host), host, f"{at}.hostname")
            if checks.parse_ip(host) is not None:
                text = "must be a DNS name, not an IP address"
                found.append(fields.invalid(f"{at}.hostname", host, text))
    return found
