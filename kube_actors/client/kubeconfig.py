"""Reads kubeconfig files, and the configuration that a pod finds in its own container.

As kubectl does: an explicit path, else the files of KUBECONFIG (the first to say something wins), else
~/.kube/config. Relative paths are relative to the file they stand in. Errors name the file and the field. Never
writes a file, and never runs a program: credential plugins are refused by name.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from .config import HTTPConfig
from .errors import KubeconfigError

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")

_UNSUPPORTED = {
    "exec": "credential plugins (exec) are not supported; put a token or a client certificate there",
    "auth-provider": "auth-provider plugins are not supported; put a token or a client certificate there",
    "username": "basic authentication was removed from Kubernetes; put a token or a client certificate there",
}


class _Named(msgspec.Struct):
    """An entry of one of the named lists, and the file it stands in."""

    file: Path
    where: str
    body: dict[str, Any]

    def wrong(self, field: str, what: str) -> KubeconfigError:
        return KubeconfigError(f"{self.file}: {self.where}.{field}: {what}")

    def text(self, field: str) -> str:
        value = self.body.get(field, "")
        if value is None:
            return ""
        if not isinstance(value, str):
            raise self.wrong(field, f"must be a string, not {type(value).__name__}")
        return value

    def flag(self, field: str) -> bool:
        value = self.body.get(field, False)
        if not isinstance(value, bool):
            raise self.wrong(field, f"must be true or false, not {value!r}")
        return value

    def content(self, field: str) -> bytes:
        """What FIELD-data holds, or the file that FIELD names; b"" if neither is there."""
        data = self.text(f"{field}-data")
        if data:
            try:
                return base64.b64decode(data, validate=True)
            except binascii.Error as error:
                raise self.wrong(f"{field}-data", f"is not base64: {error}") from error
        name = self.text(field)
        if not name:
            return b""
        try:
            return self.path(name).read_bytes()
        except OSError as error:
            raise self.wrong(field, f"cannot read {name}: {error.strerror}") from error

    def path(self, name: str) -> Path:
        return self.file.parent / name


class Kubeconfig:
    """One or several kubeconfig files, merged."""

    def __init__(self) -> None:
        self.current_context = ""
        self.files: list[Path] = []
        self._lists: dict[str, dict[str, _Named]] = {"clusters": {}, "users": {}, "contexts": {}}

    @property
    def contexts(self) -> tuple[str, ...]:
        return tuple(self._lists["contexts"])

    def merge(self, file: Path, text: str) -> None:
        """Add a file; what is there already stays."""
        document = _parse(file, text)
        self.files.append(file)
        current = document.get("current-context") or ""
        if not isinstance(current, str):
            raise KubeconfigError(f"{file}: current-context: must be a string")
        self.current_context = self.current_context or current
        for plural, known in self._lists.items():
            entries = document.get(plural) or []
            if not isinstance(entries, list):
                raise KubeconfigError(f"{file}: {plural}: must be a list")
            for index, entry in enumerate(entries):
                name, named = _named(file, plural, index, entry)
                known.setdefault(name, named)

    def http_config(self, context: str = "", *, user_agent: str = "kube-actors") -> HTTPConfig:
        """The configuration of a context, by default the current one."""
        chosen = context or self.current_context
        where = ", ".join(str(file) for file in self.files)
        if not chosen:
            raise KubeconfigError(f"{where}: current-context: is not set, and no context was chosen")
        named = self._lists["contexts"].get(chosen)
        if named is None:
            raise KubeconfigError(f"{where}: there is no context {chosen!r} (there are: {', '.join(self.contexts)})")
        cluster = self._referred(named, "cluster", "clusters")
        user = self._referred(named, "user", "users") if named.text("user") else _Named(named.file, "user", {})
        server = cluster.text("server")
        if not server.startswith(("https://", "http://")):
            raise cluster.wrong("server", f"must be an http:// or https:// URL, not {server!r}")
        return _with_credentials(
            user,
            HTTPConfig(
                server=server.rstrip("/"),
                namespace=named.text("namespace") or "default",
                ca=cluster.content("certificate-authority"),
                insecure=cluster.flag("insecure-skip-tls-verify"),
                server_name=cluster.text("tls-server-name"),
                user_agent=user_agent,
            ),
        )

    def _referred(self, context: _Named, field: str, plural: str) -> _Named:
        name = context.text(field)
        found = self._lists[plural].get(name)
        if found is None:
            raise context.wrong(field, f"there is no entry {name!r} in {plural}")
        return found


def _parse(file: Path, text: str) -> dict[str, Any]:
    try:
        # Our own kubeconfigs are JSON, and reading JSON spares loading a YAML parser.
        document = msgspec.json.decode(text.encode())
    except msgspec.DecodeError:
        import yaml  # lazy: heavy import

        try:
            document = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise KubeconfigError(f"{file}: is not YAML: {error}") from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise KubeconfigError(f"{file}: must be a mapping, not {type(document).__name__}")
    if document.get("kind") not in (None, "", "Config"):
        raise KubeconfigError(f"{file}: kind: must be Config, not {document['kind']!r}")
    return document


def _named(file: Path, plural: str, index: int, entry: Any) -> tuple[str, _Named]:
    singular = plural[:-1]
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise KubeconfigError(f"{file}: {plural}[{index}].name: is missing")
    body = entry.get(singular) or {}
    if not isinstance(body, dict):
        raise KubeconfigError(f"{file}: {plural}[{index}].{singular}: must be a mapping")
    return entry["name"], _Named(file, f"{plural}[{entry['name']}].{singular}", body)


def _with_credentials(user: _Named, config: HTTPConfig) -> HTTPConfig:
    certificate, key = user.content("client-certificate"), user.content("client-key")
    if bool(certificate) != bool(key):
        missing = "client-key" if certificate else "client-certificate"
        raise user.wrong(missing, "is missing: a client certificate and its key go together")
    token_file = user.text("tokenFile")
    token = user.text("token")
    if not (certificate or token or token_file):
        for field, message in _UNSUPPORTED.items():
            if user.body.get(field):
                raise user.wrong(field, message)
    groups = user.body.get("as-groups") or []
    return msgspec.structs.replace(
        config,
        client_certificate=certificate,
        client_key=key,
        token=token,
        token_file=str(user.path(token_file)) if token_file else "",
        impersonate=user.text("as"),
        impersonate_groups=tuple(str(group) for group in groups),
    )


def load(path: str | Path | None = None, *, environment: Mapping[str, str] | None = None) -> Kubeconfig:
    """The kubeconfig at a path, or where kubectl would look for it."""
    environment = os.environ if environment is None else environment
    result = Kubeconfig()
    for file in _files(path, environment):
        try:
            text = file.read_text()
        except FileNotFoundError as error:
            if path is not None:
                raise KubeconfigError(f"{file}: no such file") from error
            continue  # kubectl too skips what KUBECONFIG names in vain
        except (OSError, UnicodeDecodeError) as error:
            raise KubeconfigError(f"{file}: cannot be read: {error}") from error
        result.merge(file, text)
    if not result.files:
        tried = ", ".join(str(file) for file in _files(path, environment))
        raise KubeconfigError(f"no kubeconfig found (looked for {tried})")
    return result


def _files(path: str | Path | None, environment: Mapping[str, str]) -> list[Path]:
    if path is not None:
        return [Path(path).expanduser()]
    listed = [Path(part).expanduser() for part in environment.get("KUBECONFIG", "").split(os.pathsep) if part]
    return listed or [Path(environment.get("HOME", "~"), ".kube", "config").expanduser()]


def load_config(
    path: str | Path | None = None,
    *,
    context: str = "",
    user_agent: str = "kube-actors",
    environment: Mapping[str, str] | None = None,
) -> HTTPConfig:
    """How to reach the API server that a kubeconfig names."""
    return load(path, environment=environment).http_config(context, user_agent=user_agent)


def in_cluster(
    *,
    environment: Mapping[str, str] | None = None,
    directory: Path = SERVICE_ACCOUNT,
    user_agent: str = "kube-actors",
) -> HTTPConfig:
    """How a pod reaches the API server of its own cluster."""
    environment = os.environ if environment is None else environment
    host, port = environment.get("KUBERNETES_SERVICE_HOST", ""), environment.get("KUBERNETES_SERVICE_PORT", "")
    if not host or not port:
        raise KubeconfigError("not in a cluster: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set")
    try:
        ca = (directory / "ca.crt").read_bytes()
        (directory / "token").read_text()
    except OSError as error:
        raise KubeconfigError(f"{error.filename}: cannot be read: {error.strerror}") from error
    namespace = directory / "namespace"
    return HTTPConfig(
        server=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
        namespace=namespace.read_text().strip() if namespace.exists() else "default",
        ca=ca,
        token_file=str(directory / "token"),
        user_agent=user_agent,
    )
