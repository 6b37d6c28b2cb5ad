"""Client certificates, bad handshakes, and what is sent to the wrong port."""

from __future__ import annotations

import itertools

import httpx
import pytest
import trio

from kube_actors.assembly.pki import Pki
from kube_actors.wire import HttpResponse, client_context, server_context


async def whoami(request):
    cert = request.certificate
    text = "nobody" if cert is None else f"{cert.common_name} {','.join(cert.organizations)} {cert.valid_at(2e9)}"
    return HttpResponse(200, (), text.encode())


async def ask(port, pki, pair=None):
    context = client_context(ca=pki.ca_certificate, certificate=pair and pair.certificate, key=pair and pair.key)
    async with httpx.AsyncClient(verify=context) as client:
        return (await client.get(f"https://localhost:{port}/")).text


async def test_client_certificates_are_optional_and_read(serving, tls, pki):
    async with serving(whoami, tls=tls) as server:
        assert await ask(server.port, pki) == "nobody"
        pair = pki.client("alice", ["system:masters", "dev"])
        assert await ask(server.port, pki, pair) == "alice system:masters,dev False"


async def test_an_expired_certificate_reaches_the_handler_with_its_dates(serving):
    moment, serials = [1e9], itertools.count(1)
    old = Pki(lambda: moment[0], lambda: next(serials))
    pair = old.client("alice")
    moment[0] = 1.79e9
    serving_pair = old.serving("s", ["localhost"])
    context = server_context(serving_pair.certificate, serving_pair.key, client_ca=old.ca_certificate)

    async with serving(whoami, tls=context) as server:
        client = client_context(verify=False, certificate=pair.certificate, key=pair.key)
        async with httpx.AsyncClient(verify=client) as http:
            assert (await http.get(f"https://localhost:{server.port}/")).text == "alice  False"


async def test_a_foreign_certificate_ends_with_an_alert_and_the_server_goes_on(serving, tls, pki, raw):
    serials = itertools.count(1)
    foreign = Pki(lambda: 1.79e9, lambda: next(serials)).client("mallory", ["system:masters"])
    async with serving(whoami, tls=tls) as server:
        context = client_context(ca=pki.ca_certificate, certificate=foreign.certificate, key=foreign.key)
        with pytest.raises(trio.BrokenResourceError) as broken:
            stream = await raw(server, tls=context)
            await stream.send_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            await stream.receive_some()
        assert broken.value.__cause__.reason == "TLSV1_ALERT_UNKNOWN_CA"
        assert await ask(server.port, pki) == "nobody"


async def test_plain_http_on_the_tls_port_is_told_so(serving, tls, raw):
    async with serving(whoami, tls=tls) as server:
        stream = await raw(server)
        await stream.send_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"Client sent an HTTP request to an HTTPS server." in await stream.receive_some()


async def test_old_tls_versions_are_refused_and_alpn_is_http_1_1(serving, tls, pki, raw):
    async with serving(whoami, tls=tls) as server:
        context = client_context(ca=pki.ca_certificate)
        secure = await raw(server, tls=context)
        assert (secure.version(), secure.selected_alpn_protocol()) == ("TLSv1.3", "http/1.1")


async def test_a_replaced_certificate_serves_new_connections(serving, tls, pki, raw):
    async with serving(whoami, tls=tls) as server:
        pair = pki.serving("renamed", ["renamed.test"])
        server.replace_tls(server_context(pair.certificate, pair.key))
        with pytest.raises(trio.BrokenResourceError) as broken:
            await raw(server, tls=client_context(ca=pki.ca_certificate))
        assert "Hostname mismatch" in str(broken.value.__cause__)
