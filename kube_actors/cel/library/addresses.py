"""URLs, IP addresses and address ranges."""

from __future__ import annotations

import functools
import ipaddress
import urllib.parse
from collections.abc import Callable
from typing import Any, Final

from kube_actors.cel.errors import EvaluationError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Ip:
    """An address as CEL sees it."""

    cel_type = "net.IP"
    __slots__ = ("address",)

    def __init__(self, address: Address) -> None:
        self.address = address

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ip) and self.address == other.address

    def __hash__(self) -> int:
        return hash(self.address)


class Cidr:
    """A range, which remembers the address it was written with."""

    cel_type = "net.CIDR"
    __slots__ = ("address", "bits")

    def __init__(self, address: Address, bits: int) -> None:
        self.address = address
        self.bits = bits

    @property
    def network(self) -> Network:
        return ipaddress.ip_network((self.address, self.bits), strict=False)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Cidr) and (self.address, self.bits) == (other.address, other.bits)

    def __hash__(self) -> int:
        return hash((self.address, self.bits))


class Url:
    """An absolute URL or path."""

    cel_type = "kubernetes.URL"
    __slots__ = ("parts", "text")

    def __init__(self, text: str, parts: urllib.parse.SplitResult) -> None:
        self.text = text
        self.parts = parts

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Url) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    def host_name(self) -> str:
        host = self.host()
        if host.startswith("["):
            return host[1 : host.find("]")]
        return host.partition(":")[0]

    def host(self) -> str:
        return self.parts.netloc.rpartition("@")[2]

    def port(self) -> str:
        host = self.host().rpartition("]")[2]
        return host.partition(":")[2]

    def query(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for key, value in urllib.parse.parse_qsl(self.parts.query, keep_blank_values=True):
            found.setdefault(key, []).append(value)
        return found


@functools.lru_cache(maxsize=512)
def _ip(text: str) -> Ip:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise EvaluationError(
            f"IP Address {text!r} parse error during conversion from string".replace("'", '"')
        ) from None
    if isinstance(address, ipaddress.IPv6Address) and (address.ipv4_mapped is not None or address.scope_id):
        kind = (
            "IPv4-mapped IPv6 addresses are not allowed"
            if address.ipv4_mapped
            else "addresses with zones are not allowed"
        )
        raise EvaluationError(f'IP Address "{text}" parse error during conversion from string: {kind}')
    return Ip(address)


@functools.lru_cache(maxsize=512)
def _cidr(text: str) -> Cidr:
    address, slash, bits = text.partition("/")
    message = f'network address parse error during conversion from string: network.ParseCIDR("{text}")'
    if not slash or not bits.isdigit() or (len(bits) > 1 and bits[0] == "0"):
        raise EvaluationError(message)
    try:
        parsed = _ip(address).address
    except EvaluationError:
        raise EvaluationError(message) from None
    if int(bits) > parsed.max_prefixlen:
        raise EvaluationError(message)
    return Cidr(parsed, int(bits))


def _url(text: str) -> Url:
    try:
        parts = urllib.parse.urlsplit(text)
        good = bool(parts.scheme) or text.startswith("/")
        _ = parts.port
    except ValueError as error:
        raise EvaluationError(f'URL parse error during conversion from string: parse "{text}": {error}') from None
    if not good or " " in parts.netloc or any(ord(letter) < 32 for letter in text):
        reason = "invalid URI for request"
        raise EvaluationError(f'URL parse error during conversion from string: parse "{text}": {reason}')
    return Url(text, parts)


def _succeeds(parse: Callable[[str], Any]) -> Callable[[str], bool]:
    def test(text: str) -> bool:
        try:
            parse(text)
        except EvaluationError:
            return False
        return True

    return test


is_url = _succeeds(_url)


def _contains(outer: Cidr, inner: Network) -> bool:
    mine = outer.network
    return mine.version == inner.version and inner.subnet_of(mine)  # type: ignore[arg-type]


def _contains_ip(outer: Cidr, ip: Ip) -> bool:
    return ip.address in outer.network


def _link_local_multicast(ip: Ip) -> bool:
    if isinstance(ip.address, ipaddress.IPv4Address):
        return ip.address in ipaddress.ip_network("224.0.0.0/24")
    return ip.address.packed[0] == 0xFF and ip.address.packed[1] & 0x0F == 2


def _global(ip: Ip) -> bool:
    address = ip.address
    broadcast = isinstance(address, ipaddress.IPv4Address) and int(address) == 2**32 - 1
    return not (
        broadcast or address.is_unspecified or address.is_loopback or address.is_multicast or address.is_link_local
    )


FUNCTIONS: Final[dict[str, Callable[..., Any]]] = {
    "url(string) -> kubernetes.URL": _url,
    "isURL(string) -> bool": is_url,
    "kubernetes.URL.getScheme() -> string": lambda url: url.parts.scheme,
    "kubernetes.URL.getHost() -> string": Url.host,
    "kubernetes.URL.getHostname() -> string": Url.host_name,
    "kubernetes.URL.getPort() -> string": Url.port,
    "kubernetes.URL.getEscapedPath() -> string": lambda url: urllib.parse.quote(
        url.parts.path, safe="/%:@!$&'()*+,;=~"
    ),
    "kubernetes.URL.getQuery() -> map(string, list(string))": Url.query,
    "ip(string) -> net.IP": _ip,
    "isIP(string) -> bool": _succeeds(_ip),
    "@ip.isCanonical(string) -> bool": lambda text: str(_ip(text).address) == text,
    "string(net.IP) -> string": lambda ip: str(ip.address),
    "net.IP.family() -> int": lambda ip: ip.address.version,
    "net.IP.isUnspecified() -> bool": lambda ip: ip.address.is_unspecified,
    "net.IP.isLoopback() -> bool": lambda ip: ip.address.is_loopback,
    "net.IP.isLinkLocalMulticast() -> bool": _link_local_multicast,
    "net.IP.isLinkLocalUnicast() -> bool": lambda ip: ip.address.is_link_local,
    "net.IP.isGlobalUnicast() -> bool": _global,
    "cidr(string) -> net.CIDR": _cidr,
    "isCIDR(string) -> bool": _succeeds(_cidr),
    "string(net.CIDR) -> string": lambda cidr: f"{cidr.address}/{cidr.bits}",
    "net.CIDR.containsIP(string) -> bool": lambda cidr, text: _contains_ip(cidr, _ip(text)),
    "net.CIDR.containsIP(net.IP) -> bool": _contains_ip,
    "net.CIDR.containsCIDR(string) -> bool": lambda cidr, text: _contains(cidr, _cidr(text).network),
    "net.CIDR.containsCIDR(net.CIDR) -> bool": lambda cidr, other: _contains(cidr, other.network),
    "net.CIDR.ip() -> net.IP": lambda cidr: Ip(cidr.address),
    "net.CIDR.masked() -> net.CIDR": lambda cidr: Cidr(cidr.network.network_address, cidr.bits),
    "net.CIDR.prefixLength() -> int": lambda cidr: cidr.bits,
}
