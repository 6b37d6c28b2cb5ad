"""Whoever comes to `kube-actors up` over HTTPS with what he should not have: each gets an answer that names the cause.

One process for all of it. That it has not suffered is looked at after each.
"""

from __future__ import annotations

import json
import re
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import trio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kube_actors import Cluster
from kube_actors.actors import System
from kube_actors.apiserver import limits
from kube_actors.assembly.pki import KeyPair, Pki
from kube_actors.client import load_config
from kube_actors.wire import client_context
from tests.kit.commands import PROGRAM, READY
from tests.kit.polling import wait_until

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
TOKEN = "s3cret"
MIB = 1024 * 1024


class Up:
    """The running process: where it is, and its authority."""

    def __init__(self, url: str, directory: Path) -> None:
        self.url = url
        self.port = urlsplit(url).port or 0
        self.pki = directory / "pki"
        self.ca = (self.pki / "ca.crt").read_bytes()

    def client(self, *, token: str = "", pair: KeyPair | None = None) -> httpx.Client:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(base_url=self.url, verify=self.context(pair), headers=headers)

    def context(self, pair: KeyPair | None = None) -> ssl.SSLContext:
        if pair is None:
            return client_context(ca=self.ca)
        return client_context(ca=self.ca, certificate=pair.certificate, key=pair.key)


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    directory = tmp_path_factory.mktemp("up")
    config = directory / "cluster.yaml"
    config.write_text(
        f"""
nodes: 0
runtime: simulated
listen: 127.0.0.1:0
without: [scheduler, controllers, cloud, proxy]
tokens: [{{token: {TOKEN}, user: root, groups: ["system:masters"]}}, {{token: alice, user: alice}}]
"""
    )
    words = [str(PROGRAM), "up", "--config", str(config), "--data-dir", str(directory / "d")]
    with (directory / "err").open("w") as err:
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=err, text=True)
    assert process.stdout is not None
    try:
        match = READY.match(process.stdout.readline())
        assert match is not None, (directory / "err").read_text()
        yield Up(match[1], directory / "d")
    finally:
        process.terminate()
        assert process.wait(30) == 0
        process.stdout.close()
    assert (directory / "err").read_text() == "stopping\n"


@pytest.fixture(autouse=True)
def unharmed(up: Up) -> Iterator[None]:
    yield
    with up.client(token=TOKEN) as client:
        assert client.get(CONFIG_MAPS).status_code == 200


def check_status(answer: httpx.Response, code: int, reason: str, message: str = "") -> None:
    """A Status in Kubernetes' words, whose message begins so."""
    assert answer.status_code == code, answer.text
    status = answer.json()
    assert {name: status[name] for name in ("kind", "apiVersion", "status", "code", "reason")} == {
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason,
    }, status  # fmt: skip
    assert status["message"].startswith(message)


def expired(directory: Path) -> KeyPair:
    """A certificate of a master, signed by the cluster's authority, that ended yesterday."""
    ca = x509.load_pem_x509_certificate((directory / "ca.crt").read_bytes())
    ca_key = serialization.load_pem_private_key((directory / "ca.key").read_bytes(), None)
    assert isinstance(ca_key, ec.EllipticCurvePrivateKey)
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    names = [(NameOID.ORGANIZATION_NAME, "system:masters"), (NameOID.COMMON_NAME, "old")]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(*name) for name in names]))
        .issuer_name(ca.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=9))
        .not_valid_after(now - timedelta(days=1))
        .sign(ca_key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return KeyPair(certificate.public_bytes(serialization.Encoding.PEM), private)


def test_who_has_no_good_credential(up: Up) -> None:
    with up.client() as nobody:
        message = (
            'pods is forbidden: User "system:anonymous" cannot list resource "pods" in API group "" at the cluster'
        )
        check_status(nobody.get("/api/v1/pods"), 403, "Forbidden", message)
        assert nobody.get("/healthz").text == "ok"
    with up.client(token="alice") as alice:
        check_status(alice.get("/api/v1/secrets"), 403, "Forbidden", 'secrets is forbidden: User "alice" cannot list')
    for token in ("wrong", TOKEN + "x", "a.b.c", "é"):
        with up.client() as wrong:
            answer = wrong.get("/api/v1/pods", headers={"Authorization": f"Bearer {token}".encode()})
            check_status(answer, 401, "Unauthorized", "Unauthorized")
    with up.client(pair=expired(up.pki)) as old:
        check_status(old.get("/api/v1/pods"), 401, "Unauthorized", "Unauthorized")


def test_a_certificate_of_a_foreign_authority_ends_the_handshake(up: Up) -> None:
    """OpenSSL lets nobody look at such a certificate later, so that the cause is told by TLS itself."""
    system = System()
    stranger = Pki(system.clock.now, system.entropy.serial).client("root", ["system:masters"])
    with up.client(pair=stranger) as client, pytest.raises(httpx.TransportError, match=r"(?i)unknown.ca"):
        client.get("/api/v1/pods")


@pytest.mark.parametrize(
    ("body", "content_type", "code", "reason", "message"),
    [
        (b"", "application/json", 400, "BadRequest", ""),
        (b"{", "application/json", 400, "BadRequest", ""),
        (b"[1]", "application/json", 400, "BadRequest", ""),
        (b"null", "application/json", 400, "BadRequest", ""),
        (b'"text"', "application/json", 400, "BadRequest", ""),
        (b'{"kind": 5}', "application/json", 400, "BadRequest", ""),
        (b"[" * 100_000, "application/json", 400, "BadRequest", ""),
        (b'{"data": {"a": "\xff\xfe"}}', "application/json", 400, "BadRequest", ""),
        (b'{"data": {"a": "\\ud800"}}', "application/json", 400, "BadRequest", ""),
        (b"a: [", "application/yaml", 400, "BadRequest", ""),
        (b"a: \xff", "application/yaml", 400, "BadRequest", ""),
        (b"a: &a [*a, *a]", "application/yaml", 400, "BadRequest", ""),
        (b"\x00\x01\x02", "application/vnd.kubernetes.protobuf", 400, "BadRequest", ""),
        (b"k8s\x00\xff\xff", "application/vnd.kubernetes.protobuf", 400, "BadRequest", ""),
        (b"<a/>", "text/xml", 415, "UnsupportedMediaType", "the body of the request was in an unknown format"),
        (b'{"apiVersion": "v1", "kind": "Pod"}', "application/json", 400, "BadRequest", ""),
        (b'{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "A b"}}', "application/json",
         422, "Invalid", 'ConfigMap "A b" is invalid: metadata.name: Invalid value'),
        (b"x" * (3 * MIB + 1), "application/json", 413, "RequestEntityTooLarge", "Request entity too large: limit is"),
    ],
    ids=lambda value: repr(value)[:30] if isinstance(value, bytes) else "",
)  # fmt: skip
def test_bodies(up: Up, body: bytes, content_type: str, code: int, reason: str, message: str) -> None:
    with up.client(token=TOKEN) as client:
        answer = client.post(CONFIG_MAPS, content=body, headers={"Content-Type": content_type})
        check_status(answer, code, reason, message)


@pytest.mark.parametrize(
    "path",
    [
        "/nope",
        "/api/v9/pods",
        "/apis/none.example/v1/things",
        "/api/v1/things",
        "/api/v1/namespaces/default/things/a",
        "/api/v1/namespaces/default/pods/a/nope",
        "/api/v1/namespaces//pods/a",
        "/api/v1/namespaces/default/configmaps/a%2Fb",
        "/api/v1/namespaces/default/configmaps/%00",
        "/api/v1/namespaces/default/configmaps/%FF%FE",
        "/api/v1/namespaces/default/configmaps/..%2F..%2Fsecrets",
        "/api/v1/../../etc/passwd",
        "/api/v1/namespaces/default/configmaps/" + "a" * 3000,
        "/%",
        "/%zz",
    ],
)
def test_paths_that_lead_nowhere(up: Up, path: str) -> None:
    """As they are, without a library that mends them first."""
    assert ask(up, f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n\r\n") in (400, 404)


@pytest.mark.parametrize(
    "query",
    ["limit=-1", "limit=x", "continue=%FF", "continue=e30", "labelSelector=a%20b%20c", "labelSelector=%00",
     "fieldSelector=x%3D1", "resourceVersion=x", "watch=1&resourceVersion=x", "timeoutSeconds=x&watch=1",
     "resourceVersionMatch=Exact", "sendInitialEvents=true&watch=1"],
)  # fmt: skip
def test_queries_that_mean_nothing(up: Up, query: str) -> None:
    with up.client(token=TOKEN) as client, client.stream("GET", f"{CONFIG_MAPS}?{query}") as answer:
        assert answer.status_code in (400, 410, 422) or query == "limit=-1", answer.status_code
        if answer.status_code != 200:
            assert json.loads(answer.read())["kind"] == "Status"


def test_a_watcher_that_goes_away_is_noticed_within_a_second(up: Up) -> None:
    def watchers(client: httpx.Client) -> int:
        found = re.findall(
            r"^apiserver_longrunning_requests\{.*configmaps.*\} (\d+)", client.get("/metrics").text, re.M
        )
        return sum(map(int, found))

    with up.client(token=TOKEN) as client:
        path = f"{CONFIG_MAPS}?watch=1"
        open_ones = [connected(up, f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n\r\n")
                     for _ in range(150)]  # fmt: skip
        assert all(b"200 OK" in each.recv(15) for each in open_ones)
        assert watchers(client) == 150
        for each in open_ones:
            each.close()
        since = time.monotonic()
        wait_until(lambda: watchers(client) == 0, "all are noticed", pause=0.02)
        assert time.monotonic() - since < 1


def connected(up: Up, request: str) -> ssl.SSLSocket:
    plain = socket.create_connection(("127.0.0.1", up.port), timeout=10)
    stream = up.context().wrap_socket(plain, server_hostname="127.0.0.1")
    stream.sendall(request.encode())
    return stream


def ask(up: Up, request: str) -> int:
    """The status of the answer to bytes that stand for themselves."""
    with closing(connected(up, request)) as stream:
        return int(stream.recv(4096).split(b" ", 2)[1])


async def test_a_slow_watcher_gets_410(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever does not read while more happens than a watch holds is told so by the last that he reads."""
    monkeypatch.setattr(limits, "WATCH_EVENTS", 64)
    bare = ("scheduler", "controllers", "cloud", "proxy")
    async with Cluster(nodes=0, listen="127.0.0.1:0", without=bare) as cluster:
        assert cluster.kubeconfig is not None and cluster.server is not None
        config = load_config(cluster.kubeconfig)
        tls = client_context(ca=config.ca, certificate=config.client_certificate, key=config.client_key)
        with trio.socket.socket() as plain:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
            await plain.connect(("127.0.0.1", urlsplit(cluster.server).port))
            stream = trio.SSLStream(trio.SocketStream(plain), tls, server_hostname="127.0.0.1")
            await stream.send_all(f"GET {CONFIG_MAPS}?watch=1&resourceVersion=0 HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert b" 200 OK" in await stream.receive_some()
            made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"a": "x" * 100_000}}
            await cluster.client.create(made, namespace="default")
            for number in range(300):  # 30 MB, more than the kernel holds for such a reader
                await cluster.client.patch("ConfigMap", "a", {"data": {"n": str(number)}}, namespace="default")
            received = b""
            with trio.fail_after(20):
                while not received.endswith(b"0\r\n\r\n"):
                    received = received[-1000:] + await stream.receive_some()
    last = received.splitlines()[-4]
    assert b'"type":"ERROR"' in last and b'"code":410' in last and b'"reason":"Expired"' in last, received
