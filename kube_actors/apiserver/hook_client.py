"""Calls to webhooks: one POST to a URL or to a Service, over TLS with the authority that the configuration names.

Owns connections (pooled by authority), time-outs, size limits and the wording of what goes wrong, which is Go's, since
people search for it. Never knows what is said in the bodies.
"""

from __future__ import annotations

import base64
import binascii
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import trio

from kube_actors.api.field_errors import quote
from kube_actors.apiserver.core import Core
from kube_actors.apiserver.service_resolver import Unresolved, resolve
from kube_actors.wire import client_context

if TYPE_CHECKING:
    import httpx

JSONObject = dict[str, Any]

POOLS = 64
"""Authorities whose connections are kept; one more closes the oldest."""
CONNECTIONS = 64
"""Connections to webhooks of one authority at once."""
IDLE_SECONDS = 30.0
ANSWER_BYTES = 3 * 1024 * 1024
"""The largest answer of a webhook."""
DEFAULT_SECONDS = 10

_STATUS_TEXTS = {
    400: "the server rejected our request for an unknown reason",
    401: "the server has asked for the client to provide credentials",
    404: "the server could not find the requested resource",
    405: "the server does not allow this method on the requested resource",
    413: "Request entity too large: limit is 3145728",
    429: "the server has received too many requests and has asked us to try again later",
    503: "the server is currently unable to handle the request",
    504: "the server was unable to return a response in the time allotted, but may still be processing the request",
}


class HookFailed(Exception):
    """The webhook gave no usable answer; the message says why."""


class HookClient:
    """Made at first use, closed with the server."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._pools: dict[str, httpx.AsyncClient] = {}

    async def post(self, config: JSONObject, body: bytes, seconds: float) -> bytes:
        """The answer's body. config is a WebhookClientConfig. Raises HookFailed."""
        url, target, server_name = _place(config, seconds)
        failed = f'Post "{url}": '
        with trio.move_on_after(seconds):
            host, port = await self._endpoint(config, failed)
            return await self._send(config, url, target(host, port), server_name, body, failed)
        raise HookFailed(failed + "context deadline exceeded")

    async def aclose(self) -> None:
        """Close all connections."""
        pools, self._pools = self._pools, {}
        with trio.CancelScope(shield=True), trio.move_on_after(1):
            for pool in pools.values():
                await pool.aclose()

    async def _endpoint(self, config: JSONObject, failed: str) -> tuple[str, int]:
        service = config.get("service")
        if service is None:
            split = urlsplit(config.get("url") or "")
            return split.hostname or "", split.port or 443
        try:
            return await resolve(self._core, service["namespace"], service["name"], service.get("port") or 443)
        except Unresolved as error:
            raise HookFailed(failed + str(error)) from None

    async def _send(
        self, config: JSONObject, url: str, target: str, server_name: str, body: bytes, failed: str
    ) -> bytes:
        import httpx  # lazy: heavy import, and most clusters have no webhooks

        headers = {"Content-Type": "application/json", "Accept": "application/json, */*"}
        extensions: dict[str, Any] = {}
        if server_name:
            headers["Host"] = urlsplit(url).netloc
            extensions["sni_hostname"] = server_name
        try:
            pool = await self._pool(config.get("caBundle") or "")
            async with pool.stream(
                "POST", target, content=body, headers=headers, extensions=extensions, follow_redirects=False
            ) as response:
                chunks: list[bytes] = []
                size = 0
                async for chunk in response.aiter_bytes():
                    size += len(chunk)
                    if size > ANSWER_BYTES:
                        raise HookFailed(f"{failed}http: response body too large")
                    chunks.append(chunk)
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ssl.SSLError, ValueError) as error:
            raise HookFailed(failed + _go_words(error, target)) from None
        found = b"".join(chunks)
        if not 200 <= response.status_code < 300:
            raise HookFailed(_refused(response.status_code, found))
        return found

    async def _pool(self, ca_bundle: str) -> httpx.AsyncClient:
        import httpx  # lazy: heavy import

        found = self._pools.get(ca_bundle)
        if found is None:
            context = client_context(ca=_pem(ca_bundle)) if ca_bundle else ssl.create_default_context()
            found = httpx.AsyncClient(
                verify=context,
                trust_env=False,
                timeout=None,
                limits=httpx.Limits(
                    max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS, keepalive_expiry=IDLE_SECONDS
                ),
            )
            oldest = next(iter(self._pools), None) if len(self._pools) >= POOLS else None
            closing = self._pools.pop(oldest) if oldest is not None else None
            self._pools[ca_bundle] = found
            if closing is not None:
                await closing.aclose()
        return found


def _place(config: JSONObject, seconds: float) -> tuple[str, Callable[[str, int], str], str]:
    """The URL as it is shown, what makes the real one from host and port, and the name that the certificate has to
    have ("" when the URL has it)."""
    service = config.get("service")
    if service is None:
        text = config.get("url") or ""
        url = f"{text}{'&' if '?' in text else '?'}timeout={seconds:g}s"
        return url, lambda host, port: url, ""
    name = f"{service['name']}.{service['namespace']}.svc"
    path = service.get("path") or ""
    rest = f"{path if path.startswith('/') or not path else '/' + path}?timeout={seconds:g}s"

    def target(host: str, port: int) -> str:
        return f"https://{f'[{host}]' if ':' in host else host}:{port}{rest}"

    return f"https://{name}:{service.get('port') or 443}{rest}", target, name


def _pem(ca_bundle: str) -> bytes:
    try:
        return base64.b64decode(ca_bundle, validate=True)
    except (ValueError, binascii.Error) as error:
        raise ValueError("unable to load root certificates: unable to parse bytes as PEM block") from error


def _refused(code: int, body: bytes) -> str:
    """A status that is no success, as Kubernetes' client puts it."""
    if code in _STATUS_TEXTS:
        return _STATUS_TEXTS[code]
    if code >= 500:
        text = body[:2048].decode(errors="replace").strip()
        return f"an error on the server ({quote(text or 'unknown')}) has prevented the request from succeeding"
    return f"the server responded with the status code {code} but did not return more information"


def _go_words(error: BaseException, target: str) -> str:
    """The commonest failures as Go words them."""
    split = urlsplit(target)
    place = f"{split.hostname}:{split.port or 443}"
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            text = cause.verify_message or str(cause)
            if "self-signed" in text or "unable to get" in text:
                text = "x509: certificate signed by unknown authority"
            elif "ostname mismatch" in text:
                text = f"x509: certificate is not valid for {split.hostname}"
            elif "expired" in text:
                text = "x509: certificate has expired or is not yet valid"
            return f"tls: failed to verify certificate: {text}"
        if isinstance(cause, ConnectionRefusedError) or "refused" in str(cause).lower():
            return f"dial tcp {place}: connect: connection refused"
        if "Name or service not known" in str(cause) or "No address associated" in str(cause):
            return f"dial tcp: lookup {split.hostname}: no such host"
        if "disconnected without sending" in str(cause):
            return "EOF"
    return str(error) or type(error).__name__


def _causes(error: BaseException | None) -> list[BaseException]:
    """An error and all that led to it, groups opened."""
    found: list[BaseException] = []
    waiting = [error]
    while waiting and len(found) < 50:
        one = waiting.pop()
        if one is None or one in found:
            continue
        found.append(one)
        waiting += [one.__cause__, one.__context__]
        if isinstance(one, BaseExceptionGroup):
            waiting += list(one.exceptions)
    return found
