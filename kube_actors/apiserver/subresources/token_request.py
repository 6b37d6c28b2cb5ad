"""serviceaccounts/token: a token for a service account, perhaps bound to a pod, a secret or a node.

Owns the rules of the request; the token itself is made by `access.tokens`. Nothing is stored.
"""

from __future__ import annotations

from typing import Any

from kube_actors.api import errors, time
from kube_actors.api import field_errors as fields
from kube_actors.api.messages import AnyAnswer
from kube_actors.apiserver import bodies, encoding, reading
from kube_actors.apiserver.access.tokens import WARN_AFTER_SECONDS, Bound
from kube_actors.apiserver.admission.node_restriction import check_token
from kube_actors.apiserver.core import Call
from kube_actors.apiserver.subresources.reviews import token_request_kind

JSONObject = dict[str, Any]

DEFAULT_SECONDS = 3600
SHORTEST_SECONDS = 600
LONGEST_SECONDS = 2**32
_NAME = "TokenRequest.authentication.k8s.io"


async def token(call: Call) -> AnyAnswer:
    """POST of a TokenRequest."""
    if call.request.verb != "create":
        raise errors.method_not_allowed()
    bodies.check_write_options(call, "CreateOptions")
    entry = await reading.find(call)
    account = encoding.decode(entry.value)
    kind = token_request_kind()
    request = bodies.read_as(call, kind)
    _check_place(call, request["metadata"])
    tokens, spec = call.core.access.tokens, request.get("spec") or {}
    audiences = tuple(spec.get("audiences") or (tokens.issuer,))
    seconds = spec.get("expirationSeconds")
    seconds = DEFAULT_SECONDS if seconds is None else seconds
    _check_life(call, seconds)
    await check_token(call, spec.get("boundObjectRef"))
    bound = await _bound(call, spec.get("boundObjectRef"))
    by_admission = seconds == WARN_AFTER_SECONDS and audiences == (tokens.issuer,)
    extend = by_admission and any(each.kind == "pod" for each in bound)
    now = call.core.system.clock.now()
    answer = {
        "metadata": {
            "name": call.name,
            "namespace": call.namespace,
            "uid": call.core.system.entropy.uuid(),
            "creationTimestamp": call.core.now_text(),
        },
        "spec": {
            "audiences": list(audiences),
            "expirationSeconds": seconds,
            "boundObjectRef": spec.get("boundObjectRef"),
        },
        "status": {
            "token": tokens.issue(account, audiences, seconds, bound, extend=extend),
            "expirationTimestamp": time.format_time(now + seconds),
        },
    }
    return call.answer(encoding.whole(kind.head, answer), status=201)


def _check_place(call: Call, metadata: JSONObject) -> None:
    problems = []
    for field, wanted, what in (("name", call.name, "name"), ("namespace", call.namespace, "namespace")):
        if metadata.get(field, "") not in ("", wanted):
            why = f"must match the service account {what} if specified"
            problems.append(fields.invalid(f"metadata.{field}", metadata[field], why))
    if problems:
        raise errors.invalid(_NAME, call.name, problems)


def _check_life(call: Call, seconds: int) -> None:
    why = ""
    if seconds < SHORTEST_SECONDS:
        why = "may not specify a duration less than 10 minutes"
    if seconds > LONGEST_SECONDS:
        why = "may not specify a duration larger than 2^32 seconds"
    if why:
        raise errors.invalid(_NAME, call.name, [fields.invalid("spec.expirationSeconds", seconds, why)])


async def _bound(call: Call, reference: JSONObject | None) -> tuple[Bound, ...]:
    """What the token is bound to; a pod's token names the pod's node too."""
    if reference is None:
        return ()
    version, kind, name = reference.get("apiVersion", ""), reference.get("kind", ""), reference.get("name", "")
    if version != "v1" or kind not in ("Pod", "Secret", "Node"):
        group, _, short = version.rpartition("/")
        raise errors.bad_request(f"cannot bind token to object of type {group}/{short}, Kind={kind}")
    meta, spec = await _object(call, kind, name)
    if kind == "Pod" and spec.get("serviceAccountName") != call.name:
        raise errors.bad_request(
            f'cannot bind token for serviceaccount "{call.name}" to pod running with different serviceaccount name.'
        )
    uid = reference.get("uid", "")
    if uid and uid != meta["uid"]:
        raise errors.conflict(
            kind,
            name,
            f"the UID in the bound object reference ({uid}) does not match the UID in record. The object might have "
            "been deleted and then recreated",
        )
    found = [Bound(kind.lower(), name, meta["uid"])]
    node = spec.get("nodeName") if kind == "Pod" else None
    if node:
        entry = await call.core.store.get(f"/registry/core/nodes/{node}")
        node_uid = encoding.decode(entry.value)["metadata"]["uid"] if entry is not None else ""
        found.append(Bound("node", node, node_uid))
    return tuple(found)


async def _object(call: Call, kind: str, name: str) -> tuple[JSONObject, JSONObject]:
    plural = f"{kind.lower()}s"
    place = name if kind == "Node" else f"{call.namespace}/{name}"
    entry = await call.core.store.get(f"/registry/core/{plural}/{place}")
    if entry is None:
        raise errors.not_found(plural, name)
    obj = encoding.decode(entry.value)
    return obj["metadata"], obj.get("spec") or {}
