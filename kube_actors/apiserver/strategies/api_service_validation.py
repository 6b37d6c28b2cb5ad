"""What is wrong with an APIService. Pure."""

from __future__ import annotations

from kube_actors.api import field_errors as fields
from kube_actors.api import names
from kube_actors.apiserver.strategies.checks import JSONObject, Problems, named

_GROUP_MOST, _VERSION_MOST = 20_000, 1_000


def api_service(obj: JSONObject) -> Problems:
    """As ValidateAPIService."""
    spec = obj["spec"]
    group, version, name = spec.get("group", ""), spec.get("version", ""), obj["metadata"].get("name", "")
    found: Problems = []
    expected = f"{version}.{group}"
    if name != expected and not names.path_segment(name):
        text = f'must be `spec.version+"."+spec.group`: {fields.quote(expected)}'
        found.append(fields.invalid("metadata.name", name, text))
    if not group and version != "v1":
        text = "only v1 may have an empty group and it better be legacy kube"
        found.append(fields.required("spec.group", text))
    if group:
        found += named(names.dns_subdomain(group), group, "spec.group")
    found += named(names.dns1035_label(version), version, "spec.version")
    for key, most in (("groupPriorityMinimum", _GROUP_MOST), ("versionPriority", _VERSION_MOST)):
        value = spec.get(key, 0)
        if not 0 < value <= most:
            found.append(fields.invalid(f"spec.{key}", value, f"must be positive and less than {most}"))
    return found + _where(spec)


def _where(spec: JSONObject) -> Problems:
    """Which server answers, and how it is trusted."""
    service, bundle, careless = spec.get("service"), spec.get("caBundle"), spec.get("insecureSkipTLSVerify")
    found: Problems = []
    if service is None:
        if bundle:
            size = f"{len(bundle) * 3 // 4 - bundle.count('=')} bytes"
            found.append(fields.invalid("spec.caBundle", size, "local APIServices may not have a caBundle"))
        if careless:
            text = "local APIServices may not have insecureSkipTLSVerify"
            found.append(fields.invalid("spec.insecureSkipTLSVerify", True, text))
        return found
    for key in ("namespace", "name"):
        if not service.get(key):
            found.append(fields.required(f"spec.service.{key}"))
    port = service.get("port", 443)
    if not 1 <= port <= 65535:
        text = "port is not valid: must be between 1 and 65535, inclusive"
        found.append(fields.invalid("spec.service.port", port, text))
    if careless and bundle:
        found.append(fields.invalid("spec.insecureSkipTLSVerify", True, "may not be true if caBundle is present"))
    return found
