"""Small checks that many kinds share, in Kubernetes' words. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

import msgspec

from kube_actors.api import field_errors as fields
from kube_actors.api import names
from kube_actors.api.field_errors import FieldError
from kube_actors.apiserver.meta import labels_problems

JSONObject = dict[str, Any]
Problems = list[FieldError]

NOT_NEGATIVE = "must be greater than or equal to 0"
IMMUTABLE = "field is immutable"
PORT_RANGE = "must be between 1 and 65535, inclusive"
PROTOCOLS = ("SCTP", "TCP", "UDP")
IP_TEXT = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
CIDR_TEXT = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"


def go_value(value: Any) -> msgspec.Raw:
    """A value of Go's internal types: its fields stay in the order given, as error messages show them."""
    return msgspec.Raw(msgspec.json.encode(value))


def not_negative(value: Any, path: str) -> Problems:
    """A number that may be absent but not below zero."""
    if isinstance(value, int) and value < 0:
        return [fields.invalid(path, value, NOT_NEGATIVE)]
    return []


def named(texts: Sequence[str], value: Any, path: str) -> Problems:
    """A name rule's texts as field errors."""
    return [fields.invalid(path, value, text) for text in texts]


def immutable(new: Any, old: Any, path: str) -> Problems:
    return [] if new == old else [fields.invalid(path, new, IMMUTABLE)]


def one_of(value: Any, allowed: Sequence[str], path: str, *, required: bool = False) -> Problems:
    """An enumeration; allowed is shown in the order given."""
    if not value:
        return [fields.required(path)] if required else []
    return [] if value in allowed else [fields.not_supported(path, value, allowed)]


def port(value: int, path: str) -> Problems:
    return [] if 1 <= value <= 65535 else [fields.invalid(path, value, PORT_RANGE)]


def port_or_name(value: int | str, path: str) -> Problems:
    """An IntOrString that is a port."""
    if isinstance(value, int):
        return port(value, path)
    return named(names.port_name(value), value, path)


def parse_ip(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def ip(text: str, path: str) -> Problems:
    """An address, without the leading zeros that some parsers read as octal, and in its own family."""
    address = parse_ip(text)
    if address is not None:
        if isinstance(address, IPv6Address):
            if address.scope_id is not None:
                return [fields.invalid(path, text, IP_TEXT)]
            if address.ipv4_mapped is not None:
                return [fields.invalid(path, text, "must not be an IPv4-mapped IPv6 address")]
        return []
    if _leading_zeros(text) and parse_ip(_DECIMAL_ZEROS.sub(r"\1", text)) is not None:
        return [fields.invalid(path, text, "must not have leading 0s")]
    return [fields.invalid(path, text, IP_TEXT)]


_DECIMAL_ZEROS = re.compile(r"\b0+(\d)")


def _leading_zeros(text: str) -> bool:
    """Parts with zeros in front, which some parsers take for octal."""
    return ":" not in text and any(len(part) > 1 and part[0] == "0" for part in text.split("."))


def parse_cidr(text: str) -> IPv4Network | IPv6Network | None:
    """A network, host bits and leading zeros allowed as Go's lenient parser allows them."""
    head, slash, length = text.partition("/")
    if not slash or not length.isdigit() or len(length) > 3:
        return None
    plain = _DECIMAL_ZEROS.sub(r"\1", head) if "." in head else head
    try:
        return ip_network(f"{plain}/{int(length)}", strict=False)
    except ValueError:
        return None


def cidr(text: str, path: str, *, legacy: bool = False) -> Problems:
    """A network; legacy fields take any spelling of it, others only the canonical one."""
    network = parse_cidr(text)
    if network is None:
        return [fields.invalid(path, text, CIDR_TEXT)]
    head, _, length = text.partition("/")
    address = ip_address(_DECIMAL_ZEROS.sub(r"\1", head) if "." in head else head)
    if (len(length) > 1 and length[0] == "0") or _leading_zeros(head):
        return [fields.invalid(path, text, "must not have leading 0s in IP or prefix length")]
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return [fields.invalid(path, text, "must not have an IPv4-mapped IPv6 address")]
    if not legacy and text != f"{address}/{length}":
        return [fields.invalid(path, text, f'must be in canonical form ("{address}/{length}")')]
    if address != network.network_address:
        return [fields.invalid(path, text, "must not have bits set beyond the prefix length")]
    return []


def canonical_ip(text: str, path: str) -> Problems:
    """An address in its one spelling (IsValidIP)."""
    found = ip(text, path)
    if not found and str(parse_ip(text)) != text:
        found = [fields.invalid(path, text, f'must be in canonical form ("{parse_ip(text)}")')]
    return found


def path_segment(value: str, path: str, *, required: bool = True) -> Problems:
    """A name that stands in a URL path; "" is a missing one."""
    if not value:
        return [fields.required(path)] if required else []
    return named(names.path_segment(value), value, path)


def greater_than_zero(value: Any, path: str, text: str = "must be greater than zero") -> Problems:
    return [fields.invalid(path, value, text)] if value <= 0 else []


def conditions(listed: Any, path: str) -> Problems:
    """Conditions whose types come once each and are not empty."""
    found: Problems = []
    seen: set[str] = set()
    for index, item in enumerate(listed or ()):
        kind = item.get("type", "")
        if kind in seen:
            found.append(fields.duplicate(f"{path}[{index}].type", kind))
        seen.add(kind)
        if not kind:
            found.append(fields.required(f"{path}[{index}].type", "must not be empty"))
    return found


def usable_ip(text: str, path: str) -> Problems:
    """An address that packets from elsewhere can be sent to (ValidateNonSpecialIP)."""
    address = parse_ip(text)
    if address is None:
        return [fields.invalid(path, text, "must be a valid IP address")]
    if address.is_unspecified:
        return [fields.invalid(path, text, f"may not be unspecified ({address})")]
    if address.is_loopback:
        return [fields.invalid(path, text, "may not be in the loopback range (127.0.0.0/8, ::1/128)")]
    if address.is_link_local:
        return [fields.invalid(path, text, "may not be in the link-local range (169.254.0.0/16, fe80::/10)")]
    if address.is_multicast and str(address).startswith(("224.0.0.", "ff02:")):
        return [fields.invalid(path, text, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)")]
    return []


_SELECTOR_OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")


def label_selector(selector: JSONObject | None, path: str) -> Problems:
    """As ValidateLabelSelector."""
    if not selector:
        return []
    found: Problems = []
    if selector.get("matchLabels"):
        found += labels_problems(selector["matchLabels"], f"{path}.matchLabels")
    for index, item in enumerate(selector.get("matchExpressions") or ()):
        found += _requirement(item, f"{path}.matchExpressions[{index}]")
    return found


def _requirement(item: JSONObject, path: str) -> Problems:
    found: Problems = []
    operator, values = item.get("operator", ""), item.get("values") or []
    if operator in ("In", "NotIn"):
        if not values:
            found.append(fields.required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            text = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            found.append(fields.forbidden(f"{path}.values", text))
    else:
        found.append(fields.invalid(f"{path}.operator", operator, "not a valid selector operator"))
    found += named(names.qualified_name(item.get("key", "")), item.get("key", ""), f"{path}.key")
    for position, value in enumerate(values):
        found += named(names.label_value(value), value, f"{path}.values[{position}]")
    return found


def percent_or_count(value: int | str | None, path: str) -> Problems:
    """A replica count or a percentage of one (ValidatePositiveIntOrPercent)."""
    if isinstance(value, str):
        return named(names.percent(value), value, path)
    return not_negative(value, path)


def not_above_100_percent(value: int | str | None, path: str) -> Problems:
    if isinstance(value, str) and not names.percent(value) and int(value[:-1]) > 100:
        return [fields.invalid(path, value, "must not be greater than 100%")]
    return []


def selector_matches(selector: JSONObject, labels: JSONObject) -> bool:
    """Whether a structured selector, already valid, matches labels."""
    for key, value in (selector.get("matchLabels") or {}).items():
        if labels.get(key) != value:
            return False
    for item in selector.get("matchExpressions") or ():
        held, values = labels.get(item.get("key", "")), item.get("values") or ()
        operator = item.get("operator")
        if operator == "In" and held not in values:
            return False
        if operator == "NotIn" and held is not None and held in values:
            return False
        if operator == "Exists" and held is None:
            return False
        if operator == "DoesNotExist" and held is not None:
            return False
    return True
