"""What is wrong with a ResourceSlice: the devices that a driver offers. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable

from kube_actors.api import field_errors as fields
from kube_actors.api import names
from kube_actors.apiserver.strategies import checks, placement_validation
from kube_actors.apiserver.strategies.checks import JSONObject, Problems, named
from kube_actors.apiserver.strategies.device_validation import driver_name, each, pool_name, qualified_name

_DEVICES_MOST, _ADVANCED_MOST = 128, 64
_ENTRIES_MOST, _COUNTERS_MOST, _COUNTER_SETS_MOST, _TAINTS_MOST, _CONDITIONS_MOST = 32, 32, 8, 16, 4
_VALUE_BYTES = 64
_ONE_PLACE = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required"
_ONE_DEVICE_PLACE = (
    "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set to "
    "true in the ResourceSlice spec"
)
_NUMBER = r"(0|[1-9]\d*)"
_PRE = r"(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)"
_SEMVER = re.compile(rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(-{_PRE}(\.{_PRE})*)?(\+[0-9a-zA-Z-]+(\.[0-9a-zA-Z-]+)*)?")
_EFFECTS = ("NoExecute", "NoSchedule", "None")


def resource_slice(obj: JSONObject, old: JSONObject | None = None) -> Problems:
    """As ValidateResourceSlice."""
    spec = obj["spec"]
    pool, path = spec.get("pool") or {}, "spec.pool"
    found = driver_name(spec.get("driver", ""), "spec.driver")
    found += pool_name(pool.get("name", ""), f"{path}.name")
    found += checks.greater_than_zero(pool.get("resourceSliceCount", 0), f"{path}.resourceSliceCount")
    if pool.get("generation", 0) < 0:
        text = "must be greater than or equal to zero"
        found.append(fields.invalid(f"{path}.generation", pool["generation"], text))
    if old is not None:
        before = old["spec"]
        found += checks.immutable(pool.get("name"), (before.get("pool") or {}).get("name"), f"{path}.name")
        found += checks.immutable(spec.get("driver"), before.get("driver"), "spec.driver")
        found += checks.immutable(spec.get("nodeName"), before.get("nodeName"), "spec.nodeName")
    found += _places(spec)
    devices, counters = spec.get("devices"), spec.get("sharedCounters")
    if devices and counters:
        found.append(fields.invalid("spec", "", "only one of `sharedCounters` or `devices` is allowed"))
    advanced = any(device.get("taints") or device.get("consumesCounters") for device in devices or ())
    most = _ADVANCED_MOST if advanced else _DEVICES_MOST
    apart = bool(spec.get("perDeviceNodeSelection"))
    found += each(
        devices or (),
        most,
        "spec.devices",
        lambda item, at: _device(item, at, apart),
        _name,
    )
    return found + each(counters or (), _COUNTER_SETS_MOST, "spec.sharedCounters", _counter_set, _name)


def _name(item: JSONObject) -> str:
    return str(item.get("name", ""))


def _places(spec: JSONObject) -> Problems:
    found: Problems = []
    given: list[str] = []
    name = spec.get("nodeName")
    if name:
        given.append("`nodeName`")
        found += named(names.dns_subdomain(name), name, "spec.nodeName")
    elif name is not None:
        found.append(fields.invalid("spec.nodeName", name, "must be either unset or set to a non-empty string"))
    selector = spec.get("nodeSelector")
    if selector is not None:
        given.append("`nodeSelector`")
        found += placement_validation.node_selector(selector, "spec.nodeSelector")
        terms = selector.get("nodeSelectorTerms") or []
        if len(terms) != 1:
            text = "must have exactly one node selector term"
            found.append(fields.invalid("spec.nodeSelector.nodeSelectorTerms", terms, text))
    for key in ("allNodes", "perDeviceNodeSelection"):
        if spec.get(key):
            given.append(f"`{key}`")
        elif spec.get(key) is not None:
            found.append(fields.invalid(f"spec.{key}", False, "must be either unset or set to true"))
    if not given:
        found.append(fields.required("spec", _ONE_PLACE))
    elif len(given) > 1:
        text = f"{_ONE_PLACE}, but multiple fields are set"
        found.append(fields.invalid("spec", f"{{{', '.join(given)}}}", text))
    return found


def _device(device: JSONObject, path: str, apart: bool) -> Problems:
    name = device.get("name", "")
    found = named(names.dns_label(name), name, f"{path}.name")
    attributes, capacity = device.get("attributes") or {}, device.get("capacity") or {}
    total = len(attributes) + len(capacity)
    if total > _ENTRIES_MOST:
        text = f"the total number of attributes and capacities must not exceed {_ENTRIES_MOST}"
        found.append(fields.invalid(path, total, text))
    found += _entries(attributes, f"{path}.attributes", _attribute)
    shared = bool(device.get("allowMultipleAllocations"))
    found += _entries(capacity, f"{path}.capacity", lambda item, at: _capacity(item, at, shared))
    found += each(device.get("taints") or (), _TAINTS_MOST, f"{path}.taints", _taint)
    found += each(
        device.get("consumesCounters") or (),
        _COUNTER_SETS_MOST,
        f"{path}.consumesCounters",
        _consumption,
        lambda item: item.get("counterSet", ""),
    )
    return found + _device_place(device, path, apart) + _bindings(device, path)


def _entries(given: JSONObject, path: str, check: Callable[[JSONObject, str], Problems]) -> Problems:
    found: Problems = []
    for key, item in sorted(given.items()):
        found += qualified_name(key, path)
        found += check(item, f"{path}[{key}]")
    return found


def _attribute(given: JSONObject, path: str) -> Problems:
    found: Problems = []
    text, version = given.get("string"), given.get("version")
    if text is not None and len(text.encode()) > _VALUE_BYTES:
        found.append(fields.too_long(f"{path}.string", _VALUE_BYTES))
    if version is not None:
        if not _SEMVER.fullmatch(version):
            wrong = "must be a string compatible with semver.org spec 2.0.0"
            found.append(fields.invalid(f"{path}.version", version, wrong))
        if len(version.encode()) > _VALUE_BYTES:
            found.append(fields.too_long(f"{path}.version", _VALUE_BYTES))
    values = [key for key in given if given[key] is not None]
    if len(values) != 1:
        order = {"int": "IntValue", "bool": "BoolValue", "string": "StringValue", "version": "VersionValue"}
        shown = checks.go_value({go: given.get(key) for key, go in order.items()}) if values else ""
        found.append(fields.invalid(path, shown, "exactly one value must be specified"))
    return found


def _capacity(given: JSONObject, path: str, shared: bool) -> Problems:
    if given.get("requestPolicy") is not None and not shared:
        return [fields.forbidden(f"{path}.requestPolicy", "allowMultipleAllocations must be true")]
    return []


def _taint(taint: JSONObject, path: str) -> Problems:
    key, value, effect = taint.get("key", ""), taint.get("value", ""), taint.get("effect", "")
    found = named(names.qualified_name(key), key, f"{path}.key")
    if value:
        found += named(names.label_value(value), value, f"{path}.value")
    if not effect:
        found.append(fields.required(f"{path}.effect"))
    elif effect not in _EFFECTS:
        found.append(fields.not_supported(f"{path}.effect", effect, _EFFECTS))
    return found


def _device_place(device: JSONObject, path: str, apart: bool) -> Problems:
    name, selector, everywhere = device.get("nodeName"), device.get("nodeSelector"), device.get("allNodes")
    if not apart:
        if name is None and selector is None and everywhere is None:
            return []
        text = (
            "`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true in "
            "the ResourceSlice spec"
        )
        return [fields.invalid(path, None, text)]
    found: Problems = []
    given: list[str] = []
    if name:
        given.append("`nodeName`")
        found += named(names.dns_subdomain(name), name, f"{path}.nodeName")
    elif name is not None:
        found.append(fields.invalid(f"{path}.nodeName", name, "must not be empty"))
    if selector is not None:
        given.append("`nodeSelector`")
        found += placement_validation.node_selector(selector, f"{path}.nodeSelector")
    if everywhere:
        given.append("`allNodes`")
    elif everywhere is not None:
        found.append(fields.invalid(f"{path}.allNodes", False, "must be either unset or set to true"))
    if not given:
        found.append(fields.required(path, _ONE_DEVICE_PLACE))
    elif len(given) > 1:
        found.append(fields.invalid(path, f"{{{', '.join(given)}}}", _ONE_DEVICE_PLACE))
    return found


def _bindings(device: JSONObject, path: str) -> Problems:
    wanted, failures = device.get("bindingConditions") or (), device.get("bindingFailureConditions") or ()

    def condition(name: str, at: str) -> Problems:
        return named(names.qualified_name(name), name, at)

    found = each(wanted, _CONDITIONS_MOST, f"{path}.bindingConditions", condition, lambda name: name)
    found += each(failures, _CONDITIONS_MOST, f"{path}.bindingFailureConditions", condition, lambda name: name)
    if wanted and not failures:
        text = "bindingFailureConditions are required to use bindingConditions"
        found.append(fields.invalid(f"{path}.bindingFailureConditions", None, text))
    if failures and not wanted:
        text = "bindingConditions are required to use bindingFailureConditions"
        found.append(fields.invalid(f"{path}.bindingConditions", None, text))
    return found


def _counter_set(given: JSONObject, path: str) -> Problems:
    name = given.get("name", "")
    found: Problems = named(names.dns_label(name), name, f"{path}.name") if name else [fields.required(f"{path}.name")]
    return found + _counters(given.get("counters") or {}, f"{path}.counters")


def _consumption(given: JSONObject, path: str) -> Problems:
    name, at = given.get("counterSet", ""), f"{path}.counterSet"
    found: Problems = named(names.dns_label(name), name, at) if name else [fields.required(at)]
    return found + _counters(given.get("counters") or {}, f"{path}.counters")


def _counters(given: JSONObject, path: str) -> Problems:
    if not given:
        return [fields.required(path)]
    found: Problems = [] if len(given) <= _COUNTERS_MOST else [fields.too_many(path, len(given), _COUNTERS_MOST)]
    for key in sorted(given):
        found += named(names.dns_label(key), key, f"{path}[{key}]")
    return found
