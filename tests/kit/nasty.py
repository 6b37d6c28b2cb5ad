"""Requests that nobody should send: mutated bodies, patches, selectors, paths and headers, from a seed.

Everything comes from one `random.Random`, so that a failure is found again by its seed.
"""

from __future__ import annotations

import json
import random
from typing import Any
from urllib.parse import quote

from kube_actors.api.resources import Resource, builtin
from kube_actors.wire import Headers, HttpRequest
from tests.kit.minimal import bodies, name_of

JSONObject = dict[str, Any]

VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, -(2**63) - 1, 10**400, 1.5, 1e308, "", " ", "a", "\x00", "é\U0001f600",
    "x" * 300, "x" * 70000, [], {}, [[]], [None], [{}], {"": ""}, {"a": None}, "9" * 400, "1e400", "-1Gi", "NaN",
    "../..", "a/b/c", "{{", "$(", "2026-13-45T99:99:99Z", "::1", "999.1.1.1", "0/0", "%s%n", "100%", "<uid>",
)  # fmt: skip
QUERIES = (
    "labelSelector", "fieldSelector", "resourceVersion", "resourceVersionMatch", "limit", "continue", "timeoutSeconds",
    "allowWatchBookmarks", "sendInitialEvents", "dryRun", "fieldManager", "fieldValidation", "force",
    "gracePeriodSeconds", "propagationPolicy", "orphanDependents", "pretty", "includeObject", "watch", "container",
    "tailLines", "sinceTime", "command", "stdin", "exclude", "verbose", "hash",
)  # fmt: skip
TEXTS = (
    "", "x", "true", "false", "0", "-1", "1", "9" * 30, "a=b", "a in (b,c)", "a in (", "!a", "a,,b", "metadata.name=a",
    "spec.x!=y", "=", "==", "\x00", "é", "All", "Strict", "Warn", "Ignore", "Exact", "NotOlderThan", "Foreground", "%",
    "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MSwic3RhcnQiOiJhXHUwMDAwIn0", "None", "Object", "1e9", "x" * 5000,
)  # fmt: skip
TYPES = (
    "application/json", "application/yaml", "application/json-patch+json", "application/merge-patch+json",
    "application/strategic-merge-patch+json", "application/apply-patch+yaml", "application/vnd.kubernetes.protobuf",
    "application/cbor", "text/plain", "", "application/json; charset=x", "/", ";;", "\xff",
)  # fmt: skip
ACCEPTS = (
    "", "*/*", "application/json", "application/yaml", "application/json;as=Table;v=v1;g=meta.k8s.io",
    "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io", "text/html", ";q=x", "application/cbor",
    "application/json;as=PartialObjectMetadataList;v=v1beta1;g=meta.k8s.io", "application/vnd.kubernetes.protobuf",
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList", "a/b;c", "\x7f",
)  # fmt: skip
METHODS = ("GET", "GET", "POST", "POST", "PUT", "PATCH", "PATCH", "DELETE", "HEAD", "OPTIONS", "BREW")
OPERATIONS = ("add", "remove", "replace", "move", "copy", "test", "explode", "")
POINTERS = ("", "/", "/spec", "/metadata/name", "/spec/-", "/spec/0", "/a~2", "x", "/metadata/labels/a~1b", "/spec/~")
DIRECTIVES = ("$patch", "$retainKeys", "$setElementOrder/containers", "$deleteFromPrimitiveList/finalizers")
MIB = 1024 * 1024
KINDS = tuple(resource for resource in builtin() if "create" in resource.verbs)
_BODIES = bodies()


def mutated(value: Any, rng: random.Random, depth: int = 0) -> Any:
    """The value with one thing in it, somewhere, that does not belong there."""
    if depth > 8 or rng.random() < 0.15 or not isinstance(value, (dict, list)) or not value:
        return rng.choice(VALUES)
    if isinstance(value, list):
        at = rng.randrange(len(value))
        return [*value[:at], mutated(value[at], rng, depth + 1), *value[at + rng.randrange(2) :]]
    key = rng.choice(list(value))
    choice = rng.random()
    if choice < 0.1:
        return {name: each for name, each in value.items() if name != key}
    if choice < 0.2:
        return {**value, rng.choice(("", "status", "x", "metadata", "$patch", "é", key.upper())): rng.choice(VALUES)}
    return {**value, key: mutated(value[key], rng, depth + 1)}


def body(value: Any, rng: random.Random) -> bytes:
    """Bytes that are more or less the value."""
    try:
        text = json.dumps(value).encode()
    except (ValueError, RecursionError):
        text = b"{}"
    choice = rng.random()
    if choice < 0.7 or not text:
        return text
    at = rng.randrange(len(text))
    if choice < 0.78:
        return text[:at] + bytes([rng.randrange(256)]) + text[at + 1 :]
    if choice < 0.84:
        return text[:at]
    if choice < 0.88:
        return text[:at] + b"\xff\xfe\xed\xa0\x80" + text[at:]
    if choice < 0.92:
        return b'{"kind":"x",' + text[1:-1] + b"," + text[1:]
    if choice < 0.95:
        levels = rng.choice((65, 2000, 200_000))
        return rng.choice((b"[", b'{"a":')) * levels + text
    if choice < 0.97:
        return text[:-1] + b',"x":' + b"1" * rng.choice((400, 5000)) + b"}"
    return rng.choice((b"", b"null", b"\x00", b"---\n- &a [*a]\n", b"a: &a [x]\nb: *a\n", b"k8s\x00\n\x05\xff"))


def patch(value: JSONObject, rng: random.Random) -> Any:
    """A patch of any type, or nothing of the kind."""
    choice = rng.random()
    if choice < 0.3:
        operations = [
            {"op": rng.choice(OPERATIONS), "path": rng.choice(POINTERS), "from": rng.choice(POINTERS),
             "value": rng.choice(VALUES)}
            for _ in range(rng.randrange(4))
        ]  # fmt: skip
        return mutated(operations, rng) if rng.random() < 0.3 else operations
    changed = mutated(value, rng)
    if choice < 0.5 and isinstance(changed, dict):
        where = changed.get("spec")
        if isinstance(where, dict):
            where = {**where, rng.choice(DIRECTIVES): rng.choice((*VALUES, "delete", "replace", "merge"))}
            changed = {**changed, "spec": where}
    return changed


def path(resource: Resource, name: str, rng: random.Random, named: float = 0.7) -> str:
    """Mostly a path of the resource, with a name as often as `named` says."""
    base = resource.path
    if resource.namespaced:
        base += "/namespaces/" + rng.choice((*["default"] * 12, "nope", "%00", "A_B", ""))
    found = f"{base}/{resource.plural}"
    if rng.random() < named:
        found += "/" + rng.choice(
            (name, name, name, name, name, "nope", quote("é/x"), "%ff", "a:b:c:d", ".", "x" * 300)
        )
        if rng.random() < 0.2:
            subresources = (*resource.subresources, "status", "scale", "nope", "proxy/x/y", "log", "exec", "%2e%2e")
            found += "/" + rng.choice(subresources)
    if rng.random() < 0.1:
        at = rng.randrange(len(found))
        found = found[:at] + rng.choice(("/", "%", "%2F", "\xe9", "watch/", "?", "//", "\x00")) + found[at:]
    if rng.random() < 0.06:
        found = rng.choice(
            ("/", "//", "/api", "/apis/", "/openapi/v3/" + found, "/livez/x", "/version/x", "/api/v1/watch", "*", "")
        )
    return found


def _valid(resource: Resource) -> JSONObject:
    """Nothing is wrong with this one, where the kit knows the kind."""
    head = {"apiVersion": resource.api_version, "kind": resource.kind}
    metadata = {"name": name_of(resource.name, 1), "labels": {"app": "a"}}
    return {**head, "metadata": metadata, **_BODIES.get(resource.name, {"spec": {"a": [{"b": 1}]}})}


def request(rng: random.Random, among: Resource | None = None) -> HttpRequest:
    """One request, on a kind picked at random unless it is given."""
    resource = rng.choice(KINDS) if among is None else among
    value = _valid(resource)
    method = rng.choice(METHODS)
    if method == "POST" and rng.random() < 0.3:
        content = json.dumps(value).encode()  # something has to be there for the others to hit
    elif method == "PATCH":
        content = body(patch(value, rng), rng)
    elif method in ("GET", "HEAD"):
        content = b""
    else:
        content = body(mutated(value, rng), rng)
    if rng.random() < 0.01:
        content = b'{"a":"' + b"x" * (3 * MIB) + b'"}'
    name = value.get("metadata", {}).get("name", "a")
    where = path(resource, name, rng, {"POST": 0.1, "GET": 0.6, "DELETE": 0.9}.get(method, 0.97))
    query = "&".join(
        f"{rng.choice(QUERIES)}={quote(rng.choice(TEXTS))}" for _ in range(rng.choice((0, 0, 0, 1, 1, 2, 5)))
    )
    if "watch" in query or rng.random() < 0.05:
        query += "&timeoutSeconds=1"
    headers = [(b"host", b"x"), (b"content-type", rng.choice(TYPES[2:6] if method == "PATCH" else TYPES[:2]).encode())]
    if rng.random() < 0.3:
        headers.append((b"accept", rng.choice(ACCEPTS).encode("latin-1", "replace")))
    if rng.random() < 0.1:
        headers[1] = (b"content-type", rng.choice(TYPES).encode("latin-1", "replace"))
    if rng.random() < 0.05:
        extra = (b"impersonate-group", b"impersonate-user", b"audit-id", b"if-none-match", b"authorization", b"upgrade")
        headers.append((rng.choice(extra), rng.choice(TEXTS).encode()))
    before, mark, behind = where.partition("?")
    return HttpRequest(
        method=method,
        target=where,
        path=before,
        query=f"{behind}&{query}" if mark else query,
        headers=Headers(headers),
        content=content if len(content) <= 3 * MIB else None,
        body_limit=3 * MIB,
        peer=("127.0.0.1", 1),
    )
