"""What is wrong with a pod spec, in a Pod and in every template. Pure; Kubernetes' words and order."""

from __future__ import annotations

from kube_actors.api import field_errors as fields
from kube_actors.api import names
from kube_actors.apiserver.meta import annotations_problems, labels_problems
from kube_actors.apiserver.strategies import (
    checks,
    container_validation,
    known_specs,
    placement_validation,
    pod_resource_validation,
    pod_security_validation,
    volume_validation,
)
from kube_actors.apiserver.strategies.checks import JSONObject, Problems, named

_DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
_MIRROR = "kubernetes.io/config.mirror"
_NAMESERVERS, _SEARCHES, _SEARCH_BYTES = 3, 32, 2048


def pod_problems(pod: JSONObject) -> Problems:
    """A whole Pod, but for what all metadata shares."""
    spec = pod["spec"]
    found: Problems = []
    mirror = (pod["metadata"].get("annotations") or {}).get(_MIRROR)
    if mirror is not None and not spec.get("nodeName"):
        text = "must set spec.nodeName if mirror pod annotation is set"
        found.append(fields.invalid(f"metadata.annotations[{_MIRROR}]", mirror, text))
    found += known_specs.problems(spec, spec_problems)
    if spec.get("nodeName") and spec.get("schedulingGates"):
        text = "cannot be set until all schedulingGates have been cleared"
        found.append(fields.forbidden("spec.nodeName", text))
    return found


def template_problems(template: JSONObject, path: str) -> Problems:
    """A pod template, as ValidatePodTemplateSpec."""
    found = template_metadata_problems(template, path)
    found += spec_problems(template.get("spec") or {}, f"{path}.spec")
    if (template.get("spec") or {}).get("ephemeralContainers"):
        text = "ephemeral containers not allowed in pod template"
        found.append(fields.forbidden(f"{path}.spec.ephemeralContainers", text))
    return found


def template_metadata_problems(template: JSONObject, path: str) -> Problems:
    """The labels and annotations of a template."""
    metadata = template.get("metadata") or {}
    found: Problems = labels_problems(metadata.get("labels") or {}, f"{path}.labels")
    return found + annotations_problems(metadata.get("annotations") or {}, f"{path}.annotations")


def spec_problems(spec: JSONObject, path: str) -> Problems:
    """As ValidatePodSpec."""
    known, found = volume_validation.volumes(spec.get("volumes") or (), f"{path}.volumes")
    found += _claims(spec, f"{path}.resourceClaims")
    found += pod_resource_validation.pod_resources(spec, path)
    found += container_validation.containers(spec, known, path)
    found += pod_resource_validation.consistency(spec, path)
    found += _host_ports(spec, path)
    found += checks.one_of(
        spec.get("restartPolicy"), ("Always", "OnFailure", "Never"), f"{path}.restartPolicy", required=True
    )
    found += checks.one_of(spec.get("dnsPolicy"), _DNS_POLICIES, f"{path}.dnsPolicy", required=True)
    found += labels_problems(spec.get("nodeSelector") or {}, f"{path}.nodeSelector")
    found += pod_security_validation.pod_context(spec, path)
    found += placement_validation.affinity(spec.get("affinity") or {}, f"{path}.affinity")
    found += _dns(spec, path)
    found += _gates(spec, path)
    found += placement_validation.spread(spec.get("topologySpreadConstraints") or (), path)
    found += _host_users(spec, path)
    found += _names(spec, path)
    seconds = spec.get("activeDeadlineSeconds")
    if seconds is not None and not 1 <= seconds <= 2**31 - 1:
        found.append(
            fields.invalid(f"{path}.activeDeadlineSeconds", seconds, "must be between 1 and 2147483647, inclusive")
        )
    found += placement_validation.tolerations(spec.get("tolerations") or (), f"{path}.tolerations")
    found += _host_aliases(spec, path)
    return found + _choices(spec, path)


def _claims(spec: JSONObject, path: str) -> Problems:
    found: Problems = []
    seen: set[str] = set()
    for index, claim in enumerate(spec.get("resourceClaims") or ()):
        at = f"{path}[{index}]"
        name = claim.get("name", "")
        if not name:
            found.append(fields.required(f"{at}.name"))
        elif name in seen:
            found.append(fields.duplicate(f"{at}.name", name))
        else:
            found += named(names.dns_label(name), name, f"{at}.name")
        seen.add(name)
        one, other = claim.get("resourceClaimName"), claim.get("resourceClaimTemplateName")
        shown = checks.go_value({"Name": name, "ResourceClaimName": one, "ResourceClaimTemplateName": other})
        if one is None and other is None:
            text = "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"
            found.append(fields.invalid(at, shown, text))
        elif one is not None and other is not None:
            text = "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"
            found.append(fields.invalid(at, shown, text))
    return found


def _host_ports(spec: JSONObject, path: str) -> Problems:
    """On the host's network a port is the host's own. A template may leave that to the pods' own default."""
    found: Problems = []
    if spec.get("hostNetwork"):
        for index, container in enumerate(spec.get("containers") or ()):
            for position, port in enumerate(container.get("ports") or ()):
                if port.get("hostPort") and port["hostPort"] != port.get("containerPort"):
                    at = f"{path}.containers[{index}].ports[{position}].containerPort"
                    text = "must match `hostPort` when `hostNetwork` is true"
                    found.append(fields.invalid(at, port.get("containerPort", 0), text))
    return found


def _dns(spec: JSONObject, path: str) -> Problems:
    """As validatePodDNSConfig."""
    config = spec.get("dnsConfig")
    at = f"{path}.dnsConfig"
    found: Problems = []
    if spec.get("dnsPolicy") == "None":
        if config is None:
            return [fields.required(at, "must provide `dnsConfig` when `dnsPolicy` is None")]
        if not config.get("nameservers"):
            text = "must provide at least one DNS nameserver when `dnsPolicy` is None"
            return [fields.required(f"{at}.nameservers", text)]
    if config is None:
        return found
    servers, searches = config.get("nameservers") or [], config.get("searches") or []
    if len(servers) > _NAMESERVERS:
        text = f"must not have more than {_NAMESERVERS} nameservers"
        found.append(fields.invalid(f"{at}.nameservers", servers, text))
    for index, server in enumerate(servers):
        found += checks.ip(server, f"{at}.nameservers[{index}]")
    if len(searches) > _SEARCHES:
        text = f"must not have more than {_SEARCHES} search paths"
        found.append(fields.invalid(f"{at}.searches", searches, text))
    if len(" ".join(searches)) > _SEARCH_BYTES:
        text = f"must not have more than {_SEARCH_BYTES} characters (including spaces) in the search list"
        found.append(fields.invalid(f"{at}.searches", searches, text))
    for index, search in enumerate(searches):
        domain = search.removesuffix(".")
        if domain:
            # Underscores have been let through since search paths were read like resolvers read them.
            found += named(names.dns_subdomain(domain.replace("_", "a")), search, f"{at}.searches[{index}]")
    for index, option in enumerate(config.get("options") or ()):
        if not option.get("name"):
            found.append(fields.required(f"{at}.options[{index}]"))
    return found


def _gates(spec: JSONObject, path: str) -> Problems:
    found: Problems = []
    for index, gate in enumerate(spec.get("readinessGates") or ()):
        kind = gate.get("conditionType", "")
        found += named(names.qualified_name(kind), kind, f"{path}.readinessGates[{index}].conditionType")
    seen: set[str] = set()
    for index, gate in enumerate(spec.get("schedulingGates") or ()):
        name = gate.get("name", "")
        at = f"{path}.schedulingGates[{index}]"
        found += named(names.qualified_name(name), name, at)
        if name in seen:
            found.append(fields.duplicate(at, name))
        seen.add(name)
    return found


def _host_users(spec: JSONObject, path: str) -> Problems:
    if spec.get("hostUsers", True):
        return []
    shown = {"hostNetwork": "hostNetwork", "hostPID": "HostPID", "hostIPC": "HostIPC"}
    return [
        fields.forbidden(f"{path}.{label}", "when `hostUsers` is false")
        for key, label in shown.items()
        if spec.get(key)
    ]


def _names(spec: JSONObject, path: str) -> Problems:
    found: Problems = []
    for key, rule in (
        ("serviceAccountName", names.dns_subdomain),
        ("nodeName", names.dns_subdomain),
        ("hostname", names.dns_label),
        ("subdomain", names.dns_label),
        ("priorityClassName", names.dns_subdomain),
        ("runtimeClassName", names.dns_subdomain),
        ("hostnameOverride", names.dns_subdomain),
    ):
        value = spec.get(key)
        if value:
            found += named(rule(value), value, f"{path}.{key}")
    return found


def _host_aliases(spec: JSONObject, path: str) -> Problems:
    found: Problems = []
    for index, alias in enumerate(spec.get("hostAliases") or ()):
        at = f"{path}.hostAliases[{index}]"
        found += checks.ip(alias.get("ip", ""), f"{at}.ip")
        for position, host in enumerate(alias.get("hostnames") or ()):
            found += named(names.dns_subdomain(host), host, f"{at}.hostnames[{position}]")
    return found


def _choices(spec: JSONObject, path: str) -> Problems:
    found: Problems = []
    policy = spec.get("preemptionPolicy")
    if policy is not None and policy not in ("PreemptLowerPriority", "Never"):
        found.append(fields.not_supported(f"{path}.preemptionPolicy", policy, ["PreemptLowerPriority", "Never"]))
    found += pod_resource_validation.overhead(spec, path)
    system = (spec.get("os") or {}).get("name")
    if spec.get("os") is not None:
        if not system:
            found.append(fields.required(f"{path}.os.name"))
        elif system not in ("linux", "windows"):
            found.append(fields.not_supported(f"{path}.os", system, ["linux", "windows"]))
        elif system == "windows":
            found += pod_security_validation.windows(spec, path)
        else:
            found += pod_security_validation.linux(spec, path)
    return found
