"""Keys and certificates as files and in memory; a kubeconfig that a client understands."""

from __future__ import annotations

import base64
import itertools
import stat
import subprocess

import pytest
import yaml
from cryptography import x509

from kube_actors.assembly.kubeconfig import kubeconfig, write_kubeconfig
from kube_actors.assembly.pki import Pki

DAY = 86400
START = 1_795_500_000.0


@pytest.fixture
def moment():
    return [START]


@pytest.fixture
def open_pki(moment):
    serials = itertools.count(1000)
    return lambda directory=None: Pki(lambda: moment[0], lambda: next(serials), directory)


def test_a_restart_finds_everything_again_with_private_files(open_pki, tmp_path):
    first, again = open_pki(tmp_path / "pki"), None
    made = [first.apiserver(["node1.test", "192.0.2.7"]), first.client("system:node:a", ["system:nodes"])]
    key = first.service_account_key()
    again = open_pki(tmp_path / "pki")
    assert again.ca_certificate == first.ca_certificate
    assert [again.apiserver(["node1.test", "192.0.2.7"]), again.client("system:node:a", ["system:nodes"])] == made
    assert again.service_account_key() == key
    files = list((tmp_path / "pki").iterdir())
    assert len(files) == 7
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_certificates_are_renewed_when_old_or_when_names_change(open_pki, tmp_path, moment):
    pki = open_pki(tmp_path)
    first = pki.apiserver()
    assert pki.apiserver() == first
    assert pki.apiserver(["more.test"]) != first
    with_more = pki.apiserver(["more.test"])
    moment[0] = START + 330 * DAY
    assert pki.apiserver(["more.test"]) == with_more, "more than a month is left"
    moment[0] = START + 340 * DAY
    assert pki.apiserver(["more.test"]) != with_more
    ca = pki.ca_certificate
    assert open_pki(tmp_path).ca_certificate == ca
    moment[0] = START + 3651 * DAY
    assert open_pki(tmp_path).ca_certificate != ca


def test_a_pair_that_was_half_written_or_signed_by_another_authority_is_made_again(open_pki, tmp_path):
    first = open_pki(tmp_path).client("bob")
    (tmp_path / "client-bob.key").write_bytes(open_pki().client("bob").key)
    second = open_pki(tmp_path).client("bob")
    assert second != first
    for name in ("ca.crt", "ca.key"):
        (tmp_path / name).unlink()
    assert open_pki(tmp_path).client("bob") != second


def test_openssl_verifies_what_we_sign(open_pki, tmp_path):
    pki = open_pki()
    (tmp_path / "ca").write_bytes(pki.ca_certificate)
    purposes = (
        (pki.apiserver(), "sslserver"), (pki.client("u", ["g"]), "sslclient"),
        (pki.client("system:node:n", ["system:nodes"], hosts=["n"]), "sslserver"),
    )  # fmt: skip
    for pair, purpose in purposes:
        (tmp_path / "leaf").write_bytes(pair.certificate)
        command = ["openssl", "verify", "-attime", str(int(START)), "-x509_strict", "-purpose", purpose]
        done = subprocess.run(
            [*command, "-CAfile", str(tmp_path / "ca"), str(tmp_path / "leaf")], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
    names = x509.load_pem_x509_certificate(pki.apiserver().certificate).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert "kubernetes.default.svc.cluster.local" in names.value.get_values_for_type(x509.DNSName)
    assert "10.96.0.1" in map(str, names.value.get_values_for_type(x509.IPAddress))


def test_two_users_never_share_a_file(open_pki, tmp_path):
    pki = open_pki(tmp_path)
    names = ["a:b", "a/b", "a_b", "A:B", "../x", "ä"]
    pairs = [pki.client(name) for name in names]
    assert [open_pki(tmp_path).client(name) for name in names] == pairs
    assert not (tmp_path.parent / "x.crt").exists()


def test_kubeconfig_holds_everything_and_is_private(open_pki, tmp_path):
    pki = open_pki()
    pair = pki.client("admin", ["system:masters"])
    path = tmp_path / "deep" / "config"
    write_kubeconfig(path, kubeconfig("https://127.0.0.1:1", pki.ca_certificate, client=pair, token="t"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    read = yaml.safe_load(path.read_text())
    assert read["current-context"] == "admin@kube-actors"
    assert read["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:1"
    user = read["users"][0]["user"]
    assert base64.b64decode(user["client-certificate-data"]) == pair.certificate
    assert user["token"] == "t"
