"""What is wrong with webhook configurations, admission policies and their bindings, but for their CEL. Pure.

Expressions are compiled where the CEL layer is; what is said here is said without it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from kube_actors.api import field_errors as fields
from kube_actors.api import names
from kube_actors.apiserver.strategies import checks
from kube_actors.apiserver.strategies.checks import JSONObject, Problems, named

_FAILURES = ("Fail", "Ignore")
_MATCHES = ("Equivalent", "Exact")
_REINVOCATIONS = ("IfNeeded", "Never")
_QUIET = ("None", "NoneOnDryRun")
_EFFECTS = ("None", "NoneOnDryRun", "Some", "Unknown")
_OPERATIONS = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")
_SCOPES = ("*", "Cluster", "Namespaced")
_REVIEWS = ("v1", "v1beta1")
_ACTIONS = ("Audit", "Deny", "Warn")
_REASONS = ("Forbidden", "Invalid", "RequestEntityTooLarge")
_PATCHES = {"ApplyConfiguration": "applyConfiguration", "JSONPatch": "jsonPatch"}
_CONDITIONS_MOST = 64
_ANNOTATIONS_MOST = 20
_ANNOTATION_BYTES = 5 * 1024
_IDENTIFIER = re.compile(r"[_a-zA-Z][_a-zA-Z0-9]*")
_WORDS = """true false null in as break const continue else for function if import let loop package namespace return
    var void while"""
_RESERVED = frozenset(re.findall(r"[a-z]+", _WORDS))


def webhooks(obj: JSONObject, *, mutating: bool, old: JSONObject | None = None) -> Problems:
    """As ValidateValidatingWebhookConfiguration and its mutating twin; what an old object was let through with stays
    allowed."""
    before = (old or {}).get("webhooks") or ()
    effects = _QUIET if all(hook.get("sideEffects") in _QUIET for hook in before) else _EFFECTS
    known = all(_reviewed(hook.get("admissionReviewVersions") or ()) for hook in before)
    unique = len({hook.get("name") for hook in before}) == len(before)
    found: Problems = []
    seen: set[str] = set()
    for index, hook in enumerate(obj.get("webhooks") or ()):
        path = f"webhooks[{index}]"
        found += _webhook(hook, path, effects, mutating=mutating)
        found += _review_versions(hook.get("admissionReviewVersions") or [], path, known=known)
        name = hook.get("name", "")
        if unique and name:
            if name in seen:
                found.append(fields.duplicate(f"{path}.name", name))
            seen.add(name)
    return found


def _reviewed(versions: Sequence[str]) -> bool:
    return not versions or any(version in _REVIEWS for version in versions)


def _webhook(hook: JSONObject, path: str, effects: Sequence[str], *, mutating: bool) -> Problems:
    found = fully_qualified_name(hook.get("name", ""), f"{path}.name")
    for index, rule in enumerate(hook.get("rules") or ()):
        found += _rule(rule, f"{path}.rules[{index}]")
    found += checks.one_of(hook.get("failurePolicy"), _FAILURES, f"{path}.failurePolicy")
    found += checks.one_of(hook.get("matchPolicy"), _MATCHES, f"{path}.matchPolicy")
    side = hook.get("sideEffects")
    if side is None:
        found.append(fields.required(f"{path}.sideEffects", f"must specify one of {', '.join(effects)}"))
    elif side not in effects:
        found.append(fields.not_supported(f"{path}.sideEffects", side, effects))
    seconds = hook.get("timeoutSeconds")
    if seconds is not None and not 1 <= seconds <= 30:
        text = "the timeout value must be between 1 and 30 seconds"
        found.append(fields.invalid(f"{path}.timeoutSeconds", seconds, text))
    for key in ("namespaceSelector", "objectSelector"):
        found += checks.label_selector(hook.get(key), f"{path}.{key}")
    if mutating:
        found += checks.one_of(hook.get("reinvocationPolicy"), _REINVOCATIONS, f"{path}.reinvocationPolicy")
    found += client_config(hook.get("clientConfig") or {}, f"{path}.clientConfig")
    return found + _match_conditions(hook.get("matchConditions") or (), f"{path}.matchConditions")


def fully_qualified_name(name: str, path: str) -> Problems:
    """As IsFullyQualifiedName: a subdomain of three parts at least."""
    if not name:
        return [fields.required(path)]
    problems = names.dns_subdomain(name)
    if problems:
        return [fields.invalid(path, name, ",".join(problems))]
    if name.count(".") < 2:
        return [fields.invalid(path, name, "should be a domain with at least three segments separated by dots")]
    return []


def client_config(config: JSONObject, path: str) -> Problems:
    """How to call a webhook: by URL or by Service."""
    url, service = config.get("url"), config.get("service")
    if (url is None) == (service is None):
        return [fields.required(path, "exactly one of url or service is required")]
    if url is not None:
        return webhook_url(url, f"{path}.url")
    return webhook_service(service or {}, f"{path}.service")


def webhook_url(url: str, path: str) -> Problems:
    """As ValidateWebhookURL."""
    form = "; desired format: https://host[/path]"
    try:
        parts = urlsplit(url)
    except ValueError as error:
        return [fields.required(path, f"url must be a valid URL: {error}{form}")]
    found: Problems = []
    if parts.scheme != "https":
        text = f"'https' is the only allowed URL scheme{form}"
        found.append(fields.invalid(path, parts.scheme, text))
    host = parts.netloc.rpartition("@")[2]
    if not host:
        found.append(fields.invalid(path, host, f"host must be specified{form}"))
    if "@" in parts.netloc:
        user = parts.netloc.rpartition("@")[0]
        found.append(fields.invalid(path, user, "user information is not permitted in the URL"))
    if parts.fragment:
        found.append(fields.invalid(path, parts.fragment, "fragments are not permitted in the URL"))
    if parts.query:
        found.append(fields.invalid(path, parts.query, "query parameters are not permitted in the URL"))
    return found


def webhook_service(service: JSONObject, path: str) -> Problems:
    """As ValidateWebhookService."""
    found: Problems = []
    if not service.get("name"):
        found.append(fields.required(f"{path}.name", "service name is required"))
    if not service.get("namespace"):
        found.append(fields.required(f"{path}.namespace", "service namespace is required"))
    port = service.get("port", 443)
    if not 1 <= port <= 65535:
        text = "port is not valid: must be between 1 and 65535, inclusive"
        found.append(fields.invalid(f"{path}.port", port, text))
    where = service.get("path")
    return found if where is None else found + _service_path(where, f"{path}.path")


def _service_path(where: str, path: str) -> Problems:
    if where == "/":
        return []
    if where == "//":
        return [fields.invalid(path, where, "segment[0] may not be empty")]
    found: Problems = []
    if not where.startswith("/"):
        found.append(fields.invalid(path, where, "must start with a '/'"))
    steps = where[1:].removesuffix("/").split("/") if where.startswith("/") else where.removesuffix("/").split("/")
    for index, step in enumerate(steps):
        if not step:
            found.append(fields.invalid(path, where, f"segment[{index}] may not be empty"))
            continue
        found += [fields.invalid(path, where, f"segment[{index}]: {text}") for text in names.dns_subdomain(step)]
    return found


def _review_versions(versions: list[str], path: str, *, known: bool) -> Problems:
    at = f"{path}.admissionReviewVersions"
    if not versions:
        return [fields.required(at, f"must specify one of {', '.join(_REVIEWS)}")]
    found: Problems = []
    seen: set[str] = set()
    for index, version in enumerate(versions):
        if version in seen:
            found.append(fields.invalid(f"{at}[{index}]", version, "duplicate version"))
            continue
        seen.add(version)
        found += named(names.dns1035_label(version), version, f"{at}[{index}]")
    if known and not _reviewed(versions):
        found.append(fields.invalid(at, versions, f"must include at least one of {', '.join(_REVIEWS)}"))
    return found


def _rule(rule: JSONObject, path: str) -> Problems:
    """A rule with its operations."""
    found: Problems = []
    operations = rule.get("operations") or []
    if not operations:
        found.append(fields.required(f"{path}.operations"))
    found += _alone(operations, f"{path}.operations", "operations")
    for index, operation in enumerate(operations):
        if operation not in _OPERATIONS:
            found.append(fields.not_supported(f"{path}.operations[{index}]", operation, _OPERATIONS))
    for key, what in (("apiGroups", "API groups"), ("apiVersions", "API versions")):
        values = rule.get(key) or []
        if not values:
            found.append(fields.required(f"{path}.{key}"))
        found += _alone(values, f"{path}.{key}", what)
    for index, version in enumerate(rule.get("apiVersions") or ()):
        if not version:
            found.append(fields.required(f"{path}.apiVersions[{index}]"))
    found += _resources(rule.get("resources") or [], f"{path}.resources")
    return found + checks.one_of(rule.get("scope"), _SCOPES, f"{path}.scope")


def _alone(values: list[str], path: str, what: str) -> Problems:
    if len(values) > 1 and "*" in values:
        return [fields.invalid(path, values, f"if '*' is present, must not specify other {what}")]
    return []


def _resources(resources: list[str], path: str) -> Problems:
    found: Problems = [] if resources else [fields.required(path)]
    any_below: set[str] = set()
    below_any: set[str] = set()
    whole = False
    for index, text in enumerate(resources):
        at = f"{path}[{index}]"
        if not text:
            found.append(fields.required(at))
            continue
        resource, slash, below = text.partition("/")
        if not slash:
            whole = text != "*"
            continue
        if resource in any_below:
            found.append(fields.invalid(at, text, f"if '{resource}/*' is present, must not specify {text}"))
        if below in below_any:
            found.append(fields.invalid(at, text, f"if '*/{below}' is present, must not specify {text}"))
        if below == "*":
            any_below.add(resource)
        if resource == "*":
            below_any.add(below)
    if len(resources) > 1 and "*/*" in resources:
        found.append(fields.invalid(path, resources, "if '*/*' is present, must not specify other resources"))
    if "*" in resources and whole:
        text = "if '*' is present, must not specify other resources without subresources"
        found.append(fields.invalid(path, resources, text))
    return found


def _match_conditions(listed: Sequence[JSONObject], path: str) -> Problems:
    found: Problems = []
    if len(listed) > _CONDITIONS_MOST:
        found.append(fields.too_many(path, len(listed), _CONDITIONS_MOST))
    seen: set[str] = set()
    for index, condition in enumerate(listed):
        at = f"{path}[{index}]"
        if not condition.get("expression", "").strip():
            found.append(fields.required(f"{at}.expression"))
        name = condition.get("name", "")
        if not name:
            found.append(fields.required(f"{at}.name"))
            continue
        found += named(names.qualified_name(name), name, f"{at}.name")
        if name in seen:
            found.append(fields.duplicate(f"{at}.name", name))
        seen.add(name)
    return found


def policy(obj: JSONObject, old: JSONObject | None = None) -> Problems:
    """As ValidateValidatingAdmissionPolicy and ValidateMutatingAdmissionPolicy."""
    spec = obj["spec"]
    found = checks.one_of(spec.get("failurePolicy"), _FAILURES, "spec.failurePolicy", required=True)
    if spec.get("paramKind") is not None:
        found += _param_kind(spec["paramKind"], "spec.paramKind")
    match = spec.get("matchConstraints")
    if match is None:
        found.append(fields.required("spec.matchConstraints"))
    else:
        found += _match_resources(match, "spec.matchConstraints")
        if not match.get("resourceRules"):
            found.append(fields.required("spec.matchConstraints.resourceRules"))
    found += _match_conditions(spec.get("matchConditions") or (), "spec.matchConditions")
    for index, variable in enumerate(spec.get("variables") or ()):
        found += _variable(variable, f"spec.variables[{index}]")
    if obj.get("kind") == "MutatingAdmissionPolicy":
        return found + _mutations(spec)
    return found + _validations(spec, obj["metadata"].get("name", ""))


def _param_kind(kind: JSONObject, path: str) -> Problems:
    found: Problems = []
    version, at = kind.get("apiVersion", ""), f"{path}.apiVersion"
    group, _, number = version.rpartition("/")
    if not version:
        found.append(fields.required(at))
    elif "/" in group:
        found.append(fields.invalid(at, version, f"unexpected GroupVersion string: {version}"))
    else:
        if group and names.dns_subdomain(group):
            found.append(fields.invalid(at, group, ",".join(names.dns_subdomain(group))))
        if not number:
            found.append(fields.invalid(at, version, "version must be specified"))
        elif names.dns1035_label(number):
            found.append(fields.invalid(at, number, ",".join(names.dns1035_label(number))))
    name = kind.get("kind", "")
    if not name:
        found.append(fields.required(f"{path}.kind"))
    elif problems := names.dns1035_label(name.lower()):
        text = "may have mixed case, but should otherwise match: " + ",".join(problems)
        found.append(fields.invalid(f"{path}.kind", name, text))
    return found


def _match_resources(match: JSONObject, path: str) -> Problems:
    found = checks.one_of(match.get("matchPolicy"), _MATCHES, f"{path}.matchPolicy", required=True)
    for key in ("namespaceSelector", "objectSelector"):
        if match.get(key) is None:
            found.append(fields.required(f"{path}.{key}"))
        else:
            found += checks.label_selector(match[key], f"{path}.{key}")
    for key in ("resourceRules", "excludeResourceRules"):
        for index, rule in enumerate(match.get(key) or ()):
            at = f"{path}.{key}[{index}]"
            seen: set[str] = set()
            for position, name in enumerate(rule.get("resourceNames") or ()):
                found += named(names.path_segment(name), name, f"{at}.resourceNames[{position}]")
                if name in seen:
                    found.append(fields.duplicate(f"{at}.resourceNames[{position}]", name))
                seen.add(name)
            found += _rule(rule, at)
    return found


def is_identifier(name: str) -> bool:
    """Whether CEL takes it as a name."""
    return _IDENTIFIER.fullmatch(name) is not None and name not in _RESERVED


def _variable(variable: JSONObject, path: str) -> Problems:
    found: Problems = []
    name = variable.get("name", "")
    if not name.strip():
        found.append(fields.required(f"{path}.name", "name is not specified"))
    elif not is_identifier(name):
        found.append(fields.invalid(f"{path}.name", name, "must be a valid CEL identifier"))
    if not variable.get("expression", "").strip():
        found.append(fields.required(f"{path}.expression", "expression is not specified"))
    return found


def _validations(spec: JSONObject, name: str) -> Problems:
    listed, annotations = spec.get("validations") or (), spec.get("auditAnnotations") or []
    if not listed and not annotations:
        text = "validations or auditAnnotations must contain at least one item"
        return [fields.required("spec.validations", text), fields.required("spec.auditAnnotations", text)]
    found: Problems = []
    for index, item in enumerate(listed):
        found += _validation(item, f"spec.validations[{index}]")
    if len(annotations) > _ANNOTATIONS_MOST:
        text = f"must not have more than {_ANNOTATIONS_MOST} auditAnnotations"
        found.append(fields.invalid("spec.auditAnnotations", annotations, text))
    seen: set[str] = set()
    for index, item in enumerate(annotations):
        at, key = f"spec.auditAnnotations[{index}]", item.get("key", "")
        found += named(names.qualified_name(f"{name}/{key}"), f"{name}/{key}", f"{at}.key")
        value = item.get("valueExpression", "").strip()
        if not value:
            found.append(fields.required(f"{at}.valueExpression", "valueExpression is not specified"))
        elif len(value) > _ANNOTATION_BYTES:
            text = f"must not exceed {_ANNOTATION_BYTES} bytes in length"
            found.append(fields.required(f"{at}.valueExpression", text))
        if key in seen:
            found.append(fields.duplicate(f"{at}.key", key))
        seen.add(key)
    return found


def _validation(item: JSONObject, path: str) -> Problems:
    found: Problems = []
    if not item.get("expression", "").strip():
        found.append(fields.required(f"{path}.expression", "expression is not specified"))
    said = item.get("messageExpression", "")
    if said and not said.strip():
        found.append(fields.invalid(f"{path}.messageExpression", said, "must be non-empty if specified"))
    message = item.get("message", "")
    if message and not message.strip():
        found.append(fields.invalid(f"{path}.message", message, "message must be non-empty if specified"))
    elif "\n" in message.strip() or "\r" in message.strip():
        found.append(fields.invalid(f"{path}.message", message, "message must not contain line breaks"))
    return found + checks.one_of(item.get("reason"), _REASONS, f"{path}.reason")


def _mutations(spec: JSONObject) -> Problems:
    listed = spec.get("mutations") or ()
    found: Problems = []
    if not listed:
        found.append(fields.required("spec.mutations", "mutations must contain at least one item"))
    for index, mutation in enumerate(listed):
        path, kind = f"spec.mutations[{index}]", mutation.get("patchType", "")
        if not kind:
            found.append(fields.required(f"{path}.patchType"))
            continue
        if kind not in _PATCHES:
            found.append(fields.not_supported(f"{path}.patchType", kind, tuple(_PATCHES)))
            continue
        for name, key in _PATCHES.items():
            given = mutation.get(key)
            if name == kind and given is None:
                found.append(fields.required(f"{path}.{key}", f"must be specified when patchType is {kind}"))
            elif name == kind and given is not None and not given.get("expression", "").strip():
                found.append(fields.required(f"{path}.{key}.expression", "expression is not specified"))
            elif name != kind and given is not None:
                text = f"must not be specified when patchType is {kind}"
                found.append(fields.invalid(f"{path}.{key}", checks.go_value(given), text))
    policy_ = spec.get("reinvocationPolicy", "")
    if not policy_:
        return [*found, fields.required("spec.reinvocationPolicy")]
    return found + checks.one_of(policy_, _REINVOCATIONS, "spec.reinvocationPolicy")


def binding(obj: JSONObject) -> Problems:
    """As ValidateValidatingAdmissionPolicyBinding and its mutating twin."""
    spec = obj["spec"]
    found: Problems = []
    name = spec.get("policyName", "")
    if not name:
        found.append(fields.required("spec.policyName"))
    else:
        found += named(names.dns_subdomain(name), name, "spec.policyName")
    if spec.get("paramRef") is not None:
        found += _param_ref(spec["paramRef"], "spec.paramRef")
    if spec.get("matchResources") is not None:
        found += _match_resources(spec["matchResources"], "spec.matchResources")
    if obj.get("kind") == "MutatingAdmissionPolicyBinding":
        return found
    return found + _validation_actions(spec.get("validationActions") or [], "spec.validationActions")


def _validation_actions(actions: list[str], path: str) -> Problems:
    found: Problems = []
    seen: set[str] = set()
    for index, action in enumerate(actions):
        if action not in _ACTIONS:
            found.append(fields.not_supported(f"{path}[{index}]", action, _ACTIONS))
        if action in seen:
            found.append(fields.duplicate(f"{path}[{index}]", action))
        seen.add(action)
    if {"Deny", "Warn"} <= seen:
        text = (
            "must not contain both Deny and Warn (repeating the same validation failure information in the API "
            "response and headers serves no purpose)"
        )
        found.append(fields.invalid(path, actions, text))
    if not seen:
        found.append(fields.required(path, "at least one validation action is required"))
    return found


def _param_ref(reference: JSONObject, path: str) -> Problems:
    found: Problems = []
    name, selector = reference.get("name", ""), reference.get("selector")
    if name:
        found += named(names.path_segment(name), name, f"{path}.name")
        if selector is not None:
            found.append(fields.forbidden(f"{path}.name", "name and selector are mutually exclusive"))
    if selector is not None:
        found += checks.label_selector(selector, f"{path}.selector")
        if name:
            found.append(fields.forbidden(f"{path}.selector", "name and selector are mutually exclusive"))
    if not name and selector is None:
        found.append(fields.required(path, "one of name or selector must be specified"))
    action = reference.get("parameterNotFoundAction")
    if action not in ("Deny", "Allow"):
        if action is None:
            found.append(fields.required(f"{path}.parameterNotFoundAction"))
        else:
            found.append(fields.not_supported(f"{path}.parameterNotFoundAction", action, ["Deny", "Allow"]))
    return found
