"""Kubeconfig files: what kubectl reads we read, and what is wrong is named with its file and field."""

from __future__ import annotations

from pathlib import Path

import pytest

from kube_actors.assembly.kubeconfig import kubeconfig as written
from kube_actors.client import KubeconfigError, in_cluster, load_config
from kube_actors.client.kubeconfig import load

PLAIN = """
apiVersion: v1
kind: Config
current-context: dev
clusters:
- name: one
  cluster:
    server: https://10.0.0.1:6443/
    certificate-authority: ca.crt
    tls-server-name: kubernetes
contexts:
- name: dev
  context: {cluster: one, user: alice, namespace: team}
- name: bare
  context: {cluster: one, user: ""}
users:
- name: alice
  user:
    client-certificate-data: Y2VydA==
    client-key: keys/alice.key
"""


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    (tmp_path / "ca.crt").write_bytes(b"authority")
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "alice.key").write_bytes(b"key")
    file = tmp_path / "config"
    file.write_text(PLAIN)
    return file


def test_files_and_embedded_data(plain: Path) -> None:
    config = load_config(plain)
    assert (config.server, config.namespace) == ("https://10.0.0.1:6443", "team")
    assert (config.ca, config.client_certificate, config.client_key) == (b"authority", b"cert", b"key")
    assert config.server_name == "kubernetes"


def test_another_context(plain: Path) -> None:
    config = load_config(plain, context="bare")
    assert (config.namespace, config.client_certificate) == ("default", b"")


def test_secrets_do_not_show_in_messages(plain: Path) -> None:
    assert "key" not in repr(load_config(plain))


def test_the_first_file_of_several_wins(plain: Path, tmp_path: Path) -> None:
    second = tmp_path / "second"
    second.write_text(
        "current-context: other\n"
        "clusters: [{name: one, cluster: {server: 'https://elsewhere'}}, {name: two, cluster: {server: 'https://two'}}]\n"
        "contexts: [{name: two, context: {cluster: two, user: bob}}]\n"
        "users: [{name: bob, user: {token: secret}}]\n"
    )
    environment = {"KUBECONFIG": f"{tmp_path / 'missing'}:{plain}:{second}"}
    merged = load(environment=environment)
    assert merged.current_context == "dev"
    assert merged.http_config().server == "https://10.0.0.1:6443"
    assert merged.http_config("two").token == "secret"
    assert merged.contexts == ("dev", "bare", "two")


def test_our_own_kubeconfig_is_read(tmp_path: Path) -> None:
    file = tmp_path / "own"
    file.write_text(written("https://127.0.0.1:6443", b"authority", token="secret", namespace="x"))
    config = load_config(file)
    assert (config.server, config.ca, config.token, config.namespace) == (
        "https://127.0.0.1:6443",
        b"authority",
        "secret",
        "x",
    )


def test_the_home_directory_is_the_last_resort(tmp_path: Path) -> None:
    with pytest.raises(KubeconfigError, match=r"no kubeconfig found \(looked for .*/\.kube/config\)"):
        load(environment={"HOME": str(tmp_path)})


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("current-context: dev", "", r"config: current-context: is not set"),
        (
            "current-context: dev",
            "current-context: nope",
            r"config: there is no context 'nope' \(there are: dev, bare\)",
        ),
        ("cluster: one, user: alice", "cluster: none, user: alice", r"contexts\[dev\]\.context\.cluster: .*'none'"),
        ("cluster: one, user: alice", "cluster: one, user: eve", r"contexts\[dev\]\.context\.user: .*'eve' in users"),
        ("https://10.0.0.1:6443/", "10.0.0.1", r"clusters\[one\]\.cluster\.server: must be an http:// or https:// URL"),
        ("Y2VydA==", "'%'", r"users\[alice\]\.user\.client-certificate-data: "),
        ("keys/alice.key", "keys/none", r"users\[alice\]\.user\.client-key: cannot read keys/none"),
        ("client-key: keys/alice.key", "x: y", r"users\[alice\]\.user\.client-key: is missing"),
        ("kind: Config", "kind: Pod", r"config: kind: must be Config, not 'Pod'"),
        ("kind: Config", "kind: [", r"config: is not YAML"),
        ("- name: alice", "- nom: alice", r"config: users\[0\]\.name: is missing"),
        ("server: https://10.0.0.1:6443/", "server: 7", r"server: must be a string, not int"),
        (
            "client-certificate-data: Y2VydA==\n    client-key: keys/alice.key",
            "exec: {command: aws}",
            r"users\[alice\]\.user\.exec: credential plugins \(exec\) are not supported",
        ),
    ],
)
def test_what_is_wrong_is_named(plain: Path, old: str, new: str, message: str) -> None:
    assert old in PLAIN
    plain.write_text(PLAIN.replace(old, new, 1))
    with pytest.raises(KubeconfigError, match=message) as caught:
        load_config(plain)
    assert str(plain) in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(KubeconfigError, match="nothing: no such file"):
        load_config(tmp_path / "nothing")


def test_inside_a_pod(tmp_path: Path) -> None:
    for name, text in {"ca.crt": "authority", "token": "secret", "namespace": "team\n"}.items():
        (tmp_path / name).write_text(text)
    environment = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}
    config = in_cluster(environment=environment, directory=tmp_path)
    assert (config.server, config.namespace, config.ca) == ("https://[fd00::1]:443", "team", b"authority")
    assert config.token_file == str(tmp_path / "token")
    with pytest.raises(KubeconfigError, match="KUBERNETES_SERVICE_HOST"):
        in_cluster(environment={}, directory=tmp_path)
    with pytest.raises(KubeconfigError, match=r"ca\.crt: cannot be read"):
        in_cluster(environment=environment, directory=tmp_path / "none")
