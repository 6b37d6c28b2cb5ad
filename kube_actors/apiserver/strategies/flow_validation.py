"""What is wrong with a FlowSchema or a PriorityLevelConfiguration. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from kube_actors.api import field_errors as fields
from kube_actors.api import names
from kube_actors.apiserver.strategies import checks
from kube_actors.apiserver.strategies.checks import JSONObject, Problems, named

_EXEMPT = "exempt"
_PRECEDENCE_MOST = 10_000
_QUEUES_MOST = 10_000_000
_HASH_BITS = 60
_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch")
_SUBJECTS = {"Group": "group", "ServiceAccount": "serviceAccount", "User": "user"}


def flow_schema(obj: JSONObject) -> Problems:
    """As ValidateFlowSchema."""
    spec = obj.get("spec") or {}
    found: Problems = []
    precedence, at = spec.get("matchingPrecedence", 0), "spec.matchingPrecedence"
    if precedence <= 0:
        found.append(fields.invalid(at, precedence, "must be a positive value"))
    if precedence > _PRECEDENCE_MOST:
        found.append(fields.invalid(at, precedence, f"must not be greater than {_PRECEDENCE_MOST}"))
    if precedence == 1 and obj["metadata"].get("name") != _EXEMPT:
        found.append(fields.invalid(at, 1, "only the schema named 'exempt' may have matchingPrecedence 1"))
    method = spec.get("distinguisherMethod")
    if method is not None and method.get("type") not in ("ByNamespace", "ByUser"):
        shown = checks.go_value({"Type": method.get("type", "")})
        found.append(fields.not_supported("spec.distinguisherMethod.type", shown, ["ByNamespace", "ByUser"]))
    level, at = (spec.get("priorityLevelConfiguration") or {}).get("name", ""), "spec.priorityLevelConfiguration.name"
    if level:
        found += named(names.dns_subdomain(level), level, at)
    else:
        found.append(fields.required(at, "must reference a priority level"))
    for index, rule in enumerate(spec.get("rules") or ()):
        found += _rule(rule, f"spec.rules[{index}]")
    return found + checks.conditions((obj.get("status") or {}).get("conditions"), "status.conditions")


def _rule(rule: JSONObject, path: str) -> Problems:
    found: Problems = []
    subjects = rule.get("subjects") or ()
    if not subjects:
        found.append(fields.required(f"{path}.subjects", "subjects must contain at least one value"))
    for index, subject in enumerate(subjects):
        found += _subject(subject, f"{path}.subjects[{index}]")
    resources, others = rule.get("resourceRules") or (), rule.get("nonResourceRules") or ()
    if not resources and not others:
        text = "at least one of resourceRules and nonResourceRules has to be non-empty"
        found.append(fields.required(path, text))
    for index, item in enumerate(resources):
        found += _resource_rule(item, f"{path}.resourceRules[{index}]")
    for index, item in enumerate(others):
        found += _other_rule(item, f"{path}.nonResourceRules[{index}]")
    return found


def _subject(subject: JSONObject, path: str) -> Problems:
    kind = subject.get("kind", "")
    if kind not in _SUBJECTS:
        return [fields.not_supported(f"{path}.kind", kind, tuple(_SUBJECTS))]
    key = _SUBJECTS[kind]
    found = _named_subject(subject.get(key), kind, f"{path}.{key}")
    for other in ("ServiceAccount", "User", "Group"):
        name = _SUBJECTS[other]
        if other != kind and subject.get(name) is not None:
            found.append(fields.forbidden(f"{path}.{name}", f"{name} is forbidden when subject kind is not '{other}'"))
    return found


def _named_subject(given: JSONObject | None, kind: str, path: str) -> Problems:
    if given is None:
        return [fields.required(path, f"{_SUBJECTS[kind]} is required when subject kind is '{kind}'")]
    found: Problems = []
    name = given.get("name", "")
    if not name:
        found.append(fields.required(f"{path}.name"))
    elif kind == "ServiceAccount" and name != "*":
        found += named(names.dns_subdomain(name), name, f"{path}.name")
    if kind == "ServiceAccount":
        namespace = given.get("namespace", "")
        if namespace:
            found += named(names.dns_label(namespace), namespace, f"{path}.namespace")
        else:
            found.append(fields.required(f"{path}.namespace", "must specify namespace for service account"))
    return found


def _verbs(rule: JSONObject, path: str) -> Problems:
    verbs = rule.get("verbs") or []
    at = f"{path}.verbs"
    if not verbs:
        return [fields.required(at, "verbs must contain at least one value")]
    if "*" in verbs:
        return _alone(verbs, at, "verbs")
    if any(verb not in _VERBS for verb in verbs):
        return [fields.not_supported(at, verbs, _VERBS)]
    return []


def _alone(values: Sequence[str], path: str, what: str) -> Problems:
    if len(values) > 1 and "*" in values:
        return [fields.invalid(path, list(values), f"if '*' is present, must not specify other {what}")]
    return []


def _resource_rule(rule: JSONObject, path: str) -> Problems:
    found = _verbs(rule, path)
    for key, one, many in (("apiGroups", "api group", "api groups"), ("resources", "resource", "resources")):
        values = rule.get(key) or []
        if not values:
            found.append(fields.required(f"{path}.{key}", f"resource rules must supply at least one {one}"))
        found += _alone(values, f"{path}.{key}", many)
    namespaces, at = rule.get("namespaces") or [], f"{path}.namespaces"
    if not namespaces and not rule.get("clusterScope"):
        text = "resource rules that are not cluster scoped must supply at least one namespace"
        found.append(fields.required(at, text))
    elif "*" in namespaces:
        found += _alone(namespaces, at, "namespaces")
    else:
        lead = "each member of this list must be '*' or a DNS-1123 label; "
        for index, name in enumerate(namespaces):
            found += [fields.invalid(f"{at}[{index}]", name, lead + text) for text in names.dns_label(name)]
    return found


def _other_rule(rule: JSONObject, path: str) -> Problems:
    found = _verbs(rule, path)
    urls, at = rule.get("nonResourceURLs") or [], f"{path}.nonResourceURLs"
    if not urls:
        found.append(fields.required(at, "nonResourceURLs must contain at least one value"))
    elif "*" in urls:
        found += _alone(urls, at, "non-resource URLs")
    else:
        for index, url in enumerate(urls):
            wrong = next((text for text, test in _URL_RULES if test(url)), None) if url != "/" else None
            if wrong is not None:
                found.append(fields.invalid(f"{at}[{index}]", url, wrong))
    return found


_URL_RULES: tuple[tuple[str, Callable[[str], bool]], ...] = (
    ("must not be empty", lambda url: not url),
    ("must start with slash", lambda url: not url.startswith("/")),
    ("must not contain white-space", lambda url: " " in url),
    ("must not contain double slash", lambda url: "//" in url),
    (
        "wildcard can only do suffix matching",
        lambda url: url.count("*") > 1 or (url.count("*") == 1 and not url.endswith("/*")),
    ),
)


def priority_level(obj: JSONObject) -> Problems:
    """As ValidatePriorityLevelConfiguration."""
    spec = obj.get("spec") or {}
    kind, limited, exempt = spec.get("type", ""), spec.get("limited"), spec.get("exempt")
    found: Problems = []
    if (obj["metadata"].get("name") == _EXEMPT) != (kind == "Exempt"):
        found.append(fields.invalid("spec.type", kind, "type must be 'Exempt' if and only if name is 'exempt'"))
    if kind == "Exempt":
        if limited is not None:
            found.append(fields.forbidden("spec.limited", "must be nil if the type is not Limited"))
        if exempt is not None:
            found += _shares(exempt, "spec.exempt")
    elif kind == "Limited":
        if exempt is not None:
            found.append(fields.forbidden("spec.exempt", "must be nil if the type is Limited"))
        if limited is None:
            found.append(fields.required("spec.limited", "must not be empty when type is Limited"))
        else:
            found += _limited(limited, "spec.limited")
    else:
        found.append(fields.not_supported("spec.type", kind, ["Exempt", "Limited"]))
    return found + checks.conditions((obj.get("status") or {}).get("conditions"), "status.conditions")


def _shares(given: JSONObject, path: str) -> Problems:
    found: Problems = []
    shares, lend = given.get("nominalConcurrencyShares"), given.get("lendablePercent")
    if shares is not None and shares < 0:
        found.append(fields.invalid(f"{path}.nominalConcurrencyShares", shares, "must be a non-negative integer"))
    if lend is not None and not 0 <= lend <= 100:
        text = "must be between 0 and 100, inclusive"
        found.append(fields.invalid(f"{path}.lendablePercent", lend, text))
    return found


def _limited(limited: JSONObject, path: str) -> Problems:
    found = _shares({"nominalConcurrencyShares": limited.get("nominalConcurrencyShares")}, path)
    response = limited.get("limitResponse") or {}
    found += _response(response, f"{path}.limitResponse")
    found += _shares({"lendablePercent": limited.get("lendablePercent")}, path)
    borrow = limited.get("borrowingLimitPercent")
    if borrow is not None and borrow < 0:
        text = "if specified, must be a non-negative integer"
        found.append(fields.invalid(f"{path}.borrowingLimitPercent", borrow, text))
    return found


def _response(response: JSONObject, path: str) -> Problems:
    kind, queuing = response.get("type", ""), response.get("queuing")
    if kind == "Reject":
        if queuing is not None:
            text = "must be nil if limited.limitResponse.type is not Limited"
            return [fields.forbidden(f"{path}.queuing", text)]
        return []
    if kind != "Queue":
        return [fields.not_supported(f"{path}.type", kind, ["Queue", "Reject"])]
    if queuing is None:
        text = "must not be empty if limited.limitResponse.type is Limited"
        return [fields.required(f"{path}.queuing", text)]
    return _queuing(queuing, f"{path}.queuing")


def _queuing(given: JSONObject, path: str) -> Problems:
    found: Problems = []
    length, queues, hand = (given.get(key) or 0 for key in ("queueLengthLimit", "queues", "handSize"))
    if length <= 0:
        found.append(fields.invalid(f"{path}.queueLengthLimit", length, "must be positive"))
    if queues <= 0:
        found.append(fields.invalid(f"{path}.queues", queues, "must be positive"))
    elif queues > _QUEUES_MOST:
        found.append(fields.invalid(f"{path}.queues", queues, f"must not be greater than {_QUEUES_MOST}"))
    if hand <= 0:
        found.append(fields.invalid(f"{path}.handSize", hand, "must be positive"))
    elif hand > queues:
        found.append(fields.invalid(f"{path}.handSize", hand, f"should not be greater than queues ({queues})"))
    elif _entropy_bits(queues, hand) > _HASH_BITS:
        text = f"required entropy bits of deckSize {queues} and handSize {hand} should not be greater than {_HASH_BITS}"
        found.append(fields.invalid(f"{path}.handSize", hand, text))
    return found


def _entropy_bits(deck: int, hand: int) -> int:
    """Bits of hash that dealing a hand from a deck of queues uses up; a hand past the limit need not be summed."""
    bits = 0.0
    for dealt in range(hand):
        bits += math.log2(deck - dealt)
        if bits > _HASH_BITS:
            break
    return math.ceil(bits)
