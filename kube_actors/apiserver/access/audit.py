"""The audit log: who asked for what, and what came of it, as audit.k8s.io/v1 Events, one JSON object a line.

Owns the policy (which requests are written down, and how much of them), the form of an event and the file. What cannot
be written is told in the story and lost: a full disk does not stop the cluster.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, Literal

import msgspec
from msgspec import Struct

from kube_actors.api import time
from kube_actors.api.messages import AnyRequest, Request, UserInfo
from kube_actors.apiserver import limits
from kube_actors.apiserver.access.attributes import Attributes

JSONObject = dict[str, Any]
Level = Literal["None", "Metadata", "Request", "RequestResponse"]
Stage = Literal["RequestReceived", "ResponseStarted", "ResponseComplete", "Panic"]
VERSION = "audit.k8s.io/v1"
_BODIES = ("Request", "RequestResponse")


class PolicyError(ValueError):
    """An audit policy that cannot be used; the text names the field."""


class _Resources(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    group: str = ""
    resources: list[str] = []
    resource_names: list[str] = []


class Rule(Struct, frozen=True, rename={
    "user_groups": "userGroups", "paths": "nonResourceURLs", "omit_stages": "omitStages",
    "omit_managed_fields": "omitManagedFields",
}, forbid_unknown_fields=True):  # fmt: skip
    """One rule; the first that matches says the level."""

    level: Level
    users: list[str] = []
    user_groups: list[str] = []
    verbs: list[str] = []
    resources: list[_Resources] = []
    namespaces: list[str] = []
    paths: list[str] = []
    omit_stages: list[Stage] = []
    omit_managed_fields: bool | None = None

    def matches(self, asked: Attributes) -> bool:
        user = asked.user
        if self.users and user.name not in self.users:
            return False
        if self.user_groups and not any(group in user.groups for group in self.user_groups):
            return False
        if self.verbs and asked.verb not in self.verbs:
            return False
        if not (self.resources or self.namespaces or self.paths):
            return True
        if asked.path:
            return any(_path_matches(pattern, asked.path) for pattern in self.paths)
        if not (self.resources or self.namespaces):
            return False
        if self.namespaces and asked.namespace not in self.namespaces:
            return False
        return not self.resources or any(_names(each, asked) for each in self.resources)


def _names(rule: _Resources, asked: Attributes) -> bool:
    if rule.group != asked.group:
        return False
    if not rule.resources:
        return True
    wanted = ("*", asked.whole, f"*/{asked.subresource}" if asked.subresource else asked.whole, f"{asked.resource}/*")
    found = any(each in wanted[:3] or (asked.subresource and each == wanted[3]) for each in rule.resources)
    return found and (not rule.resource_names or asked.name in rule.resource_names)


def _path_matches(pattern: str, path: str) -> bool:
    return pattern in ("*", path) or (pattern.endswith("*") and path.startswith(pattern[:-1]))


class Policy(Struct, frozen=True, rename={
    "api_version": "apiVersion", "omit_stages": "omitStages", "omit_managed_fields": "omitManagedFields",
}, forbid_unknown_fields=True):  # fmt: skip
    """audit.k8s.io/v1 Policy."""

    kind: Literal["Policy"]
    api_version: Literal["audit.k8s.io/v1"]
    rules: list[Rule]
    metadata: JSONObject = {}
    omit_stages: list[Stage] = []
    omit_managed_fields: bool = False


def read_policy(tree: JSONObject) -> Policy:
    """Raises PolicyError."""
    try:
        found = msgspec.convert(tree, Policy)
    except msgspec.ValidationError as error:
        raise PolicyError(str(error)) from None
    if not found.rules:
        raise PolicyError("rules: a policy needs at least one rule")
    return found


class Record:
    """One request on its way; made when it comes, finished when it is answered."""

    __slots__ = ("event", "full", "level", "notes", "omitted", "trimmed")

    def __init__(self, event: JSONObject, rule: Rule, policy: Policy) -> None:
        self.event = event
        self.level: Level = rule.level
        self.notes: dict[str, str] = {}
        """Annotations that admission makes."""
        self.omitted = frozenset(rule.omit_stages) | frozenset(policy.omit_stages)
        self.full = rule.level == "RequestResponse"
        self.trimmed = policy.omit_managed_fields if rule.omit_managed_fields is None else rule.omit_managed_fields


class Audit:
    """Writes events as a policy says."""

    def __init__(self, policy: Policy, path: Path, now: Callable[[], float], tell: Callable[[str], None]) -> None:
        self._policy = policy
        self._path = path
        self._now = now
        self._tell = tell
        self._file: BinaryIO | None = None

    def begin(
        self,
        asked: Attributes,
        request: AnyRequest,
        *,
        audit_id: str,
        uri: str,
        source: str,
        agent: str,
        real: UserInfo,
    ) -> Record | None:
        """The record of a request, its first stage written; None when the policy says nothing of it."""
        rule = next((rule for rule in self._policy.rules if rule.matches(asked)), None)
        if rule is None or rule.level == "None":
            return None
        event: JSONObject = {
            "kind": "Event",
            "apiVersion": VERSION,
            "level": rule.level,
            "auditID": audit_id,
            "stage": "",
            "requestURI": uri,
            "verb": asked.verb,
            "user": _user(real),
        }
        if real != asked.user:
            event["impersonatedUser"] = _user(asked.user)
        event["sourceIPs"] = [source]
        if agent:
            event["userAgent"] = agent
        if not asked.path:
            event["objectRef"] = _reference(asked)
        record = Record(event, rule, self._policy)
        event["requestReceivedTimestamp"] = time.format_micro_time(self._now())
        self._write(record, "RequestReceived")
        if rule.level in _BODIES and isinstance(request, Request):
            body = _object(request.body, record.trimmed)
            if body is not None:
                event["requestObject"] = body
        return record

    def complete(self, record: Record, status: int, body: bytes, *, starts: bool) -> None:
        """The answer. `starts`: it goes on, and this is only its beginning."""
        event = record.event
        told: JSONObject = {"metadata": {}}
        if status >= 400 and isinstance(said := _object(body, False), dict):
            told |= {key: said[key] for key in ("status", "message", "reason", "details") if key in said}
        event["responseStatus"] = {**told, "code": status}
        if record.full and status < 400 and not starts:
            found = _object(body, record.trimmed)
            if found is not None:
                event["responseObject"] = found
        decision = {"authorization.k8s.io/decision": "forbid" if status == 403 else "allow"}
        event["annotations"] = {**decision, **record.notes}
        self._write(record, "ResponseStarted" if starts else "ResponseComplete")

    def _write(self, record: Record, stage: Stage) -> None:
        if stage in record.omitted:
            return
        event = {**record.event, "stage": stage, "stageTimestamp": time.format_micro_time(self._now())}
        line = msgspec.json.encode(event) + b"\n"
        try:
            if self._file is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._file = os.fdopen(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab", 0)
            self._file.write(line)
            if self._file.tell() > limits.AUDIT_FILE_BYTES:
                self._file.close()
                self._file = None
                os.replace(self._path, self._path.with_name(self._path.name + ".1"))
        except OSError as error:
            self._tell(f"{self._path}: {error.strerror}")

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _user(user: UserInfo) -> JSONObject:
    found: JSONObject = {"username": user.name}
    if user.uid:
        found["uid"] = user.uid
    if user.groups:
        found["groups"] = list(user.groups)
    if user.extra:
        found["extra"] = {key: list(values) for key, values in user.extra.items()}
    return found


def _reference(asked: Attributes) -> JSONObject:
    parts = {
        "resource": asked.resource,
        "namespace": asked.namespace,
        "name": asked.name,
        "apiGroup": asked.group,
        "apiVersion": asked.version,
        "subresource": asked.subresource,
    }
    return {key: value for key, value in parts.items() if value}


def _object(body: bytes, trimmed: bool) -> Any:
    """A body as it stands in an event; None for none, for one too long, and for what is no JSON."""
    if not body or len(body) > limits.AUDIT_BODY_BYTES:
        return None
    try:
        found = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return None
    if trimmed and isinstance(found, dict):
        for each in (found, *(found.get("items") or ())):
            if isinstance(each, dict) and isinstance(meta := each.get("metadata"), dict):
                meta.pop("managedFields", None)
    return found
