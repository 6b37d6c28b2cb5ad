"""create: from a body to a stored object.

Owns the order of a create (read, complete, prepare, validate, store) and generated names. What a kind wants is its
strategy's, what the cluster wants is admission's.
"""

from __future__ import annotations

from typing import Any

from kube_actors.api import errors
from kube_actors.api.messages import Answer
from kube_actors.apiserver import bodies, encoding, limits, managing, meta, molds
from kube_actors.apiserver.admission.chain import Attempt
from kube_actors.apiserver.core import Call
from kube_actors.store.contract import RevisionConflict

JSONObject = dict[str, Any]


async def create(call: Call) -> Answer:
    """Store a new object; 201 with what was stored."""
    form = call.core.molds.form_of(call) if call.kind.strategy.molded else None
    if form is not None:
        try:
            answer = await molds.cast(call, form)
        except RevisionConflict as taken:
            raise _taken(call, taken, not form.name) from None
        if answer is not None:
            return answer
    bodies.check_write_options(call, "CreateOptions")
    obj = bodies.read(call)
    check_addressed(call, obj)
    answer = await create_object(call, obj)
    if form is not None:
        await call.core.molds.learn(call, form, obj, answer.body)
    return answer


def check_addressed(call: Call, obj: JSONObject) -> None:
    """The body must not name another place than the request does."""
    metadata = obj["metadata"]
    namespace = metadata.get("namespace", "")
    if call.kind.namespaced:
        if namespace and namespace != call.namespace:
            raise errors.bad_request(
                "the namespace of the provided object does not match the namespace sent on the request"
            )
        metadata["namespace"] = call.namespace
    elif namespace:
        metadata.pop("namespace")
    if call.name:
        if metadata.get("name", "") not in ("", call.name):
            raise errors.bad_request("the name of the object does not match the name on the URL")
        metadata["name"] = call.name


async def create_object(call: Call, obj: JSONObject) -> Answer:
    """Create an object that has been read and addressed."""
    core, kind = call.core, call.kind
    metadata = obj["metadata"]
    generated = bool(metadata.get("generateName")) and not metadata.get("name")
    if metadata.get("resourceVersion", "") not in ("", "0"):
        raise errors.bad_request("resourceVersion should not be set on objects to be created")
    kind.strategy.default(obj)
    if not managing.is_apply(call):
        managing.created(call, obj)
    prefix = metadata.get("generateName", "")
    for attempt in range(limits.NAME_ATTEMPTS if generated else 1):
        if attempt == 0:
            await _complete(call, obj)
        elif generated:
            call.name = metadata["name"] = meta.generated_name(prefix, core.system.entropy.suffix())
        try:
            value = await _store(call, obj)
        except RevisionConflict as taken:
            if not generated or attempt == limits.NAME_ATTEMPTS - 1:
                raise _taken(call, taken, generated) from None
            continue
        return call.answer(kind.load(value), status=201)
    raise AssertionError("a create ends with a name stored or refused")


async def _complete(call: Call, obj: JSONObject) -> None:
    """Everything between reading and storing that does not depend on the drawn name."""
    core, kind = call.core, call.kind
    strategy = kind.strategy
    metadata = obj["metadata"]
    call.name = metadata.get("name", "")
    attempt = Attempt(call, "CREATE", obj, None)
    await core.admission.complete(attempt)
    if metadata.get("generateName") and not metadata.get("name"):
        metadata["name"] = meta.generated_name(metadata["generateName"], core.system.entropy.suffix())
    call.name = metadata.get("name", "")
    meta.prepare_create(obj["metadata"], strategy, uid=core.system.entropy.uuid(), now=core.now_text())
    if kind.has_status and not strategy.keeps_status_on_create:
        empty = kind.empty_status()
        if empty is None:
            obj.pop("status", None)
        else:
            obj["status"] = empty
    strategy.prepare_create(obj)
    problems = meta.validate(obj["metadata"], strategy, namespaced=kind.namespaced)
    problems += strategy.validate_create(obj)
    if problems:
        raise errors.invalid(strategy.errors_of or kind.resource, call.name, problems)
    call.warnings.extend(strategy.warnings(obj, None))
    await core.admission.check(attempt)


async def _store(call: Call, obj: JSONObject) -> bytes:
    core, kind = call.core, call.kind
    draft = encoding.draft(kind.store_head, obj)
    if call.dry_run:
        current = await core.store.get(call.key)
        if current is not None:
            raise RevisionConflict(call.key, current)
        async with core.allocators.claim(call, obj, None):
            return encoding.whole(kind.store_head, obj)
    async with core.allocators.claim(call, obj, None) as claim:
        if claim.changed:
            draft = encoding.draft(kind.store_head, obj)
        entry = await core.store.put(call.key, draft, expect=0)
        claim.keep()
    return entry.value


def _taken(call: Call, taken: RevisionConflict, generated: bool) -> errors.ApiError:
    resource = call.kind.resource
    if generated:
        return errors.generate_name_conflict(resource, call.name)
    if taken.current is not None:
        old = encoding.decode(taken.current.value)["metadata"]
        if old.get("deletionTimestamp"):
            return errors.being_deleted(resource, call.name)
    return errors.already_exists(resource, call.name)
