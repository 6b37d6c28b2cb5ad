"""Pods that differ from an earlier one in their name alone: cast from its mold, without going the long way again.

A mold is what a create made of a body, with slots for what is every object's own: name, uid, times, the random name of
the token volume. It is kept only when it gives the very bytes that were stored, and holds while what admission goes by
is as it was (`admission.footing`). Owns the molds of one server, what is told apart by, and how many there may be.
Never decides anything that the long way has not decided about the same bytes.
"""

from __future__ import annotations

from typing import Any

import msgspec

from kube_actors.api import names
from kube_actors.api.messages import Answer
from kube_actors.apiserver import encoding, limits, managing, meta
from kube_actors.apiserver.access.nodes import name_of
from kube_actors.apiserver.admission import footing
from kube_actors.apiserver.admission.footing import Footing
from kube_actors.apiserver.core import Call
from kube_actors.store.contract import Draft, RevisionConflict

JSONObject = dict[str, Any]
Key = tuple[str, str, str, str, bytes]


class _Named(msgspec.Struct):
    name: str = ""


class _Body(msgspec.Struct):
    metadata: _Named


_read_name = msgspec.json.Decoder(_Body).decode
_CUT = b"\0"
"""Stands in a key where the name stood: no JSON has it."""
_SLOTS = {"name": "~slot-of-name~", "uid": "~slot-of-uid~", "now": "~slot-of-now~", "token": "~slot-of-token~"}


class Form:
    """What a request is told apart by, and the name that it gives its object ("" when one is to be drawn)."""

    __slots__ = ("key", "name")

    def __init__(self, key: Key, name: str) -> None:
        self.key = key
        self.name = name


class Mold(msgspec.Struct, frozen=True):
    """The bytes of an object with slots in them, and the objects on which they rest with their revisions."""

    head: bytes
    tail: bytes
    prefix: str
    """What a drawn name begins with."""
    token: bool
    """Whether the pod has a token volume, whose name is drawn; otherwise the tail has no slots."""
    rests_on: tuple[tuple[str, int], ...]

    def fill(self, slots: dict[bytes, bytes]) -> Draft:
        return Draft(self.head % slots, self.tail % slots if self.token else self.tail)


class Molds:
    """The molds of one server."""

    def __init__(self) -> None:
        self._known: dict[Key, Mold] = {}
        self._seen: set[int] = set()
        self._versions: tuple[int, ...] | None = None
        self._footing: Footing | None = None
        self._looked = False

    def form_of(self, call: Call) -> Form | None:
        """None for what is not cast: it has to be a plain create whose name is easily found."""
        request, options = call.request, call.options
        body = request.body
        if call.name or call.dry_run or len(body) > limits.MOLDED_BYTES or request.content_type != "application/json":
            return None
        try:
            name = _read_name(body).metadata.name
        except (msgspec.DecodeError, ValueError, RecursionError):
            return None
        if name:
            # Where it is cut out need not be its own place: what is left of the body says the rest in any case.
            before, found, after = body.partition(b'"name":"%b"' % name.encode())
            if not found or names.dns_label(name):
                return None
            body = b"%b%b%b" % (before, _CUT, after)
        key = (call.namespace, options.field_manager, request.user_agent, options.field_validation, body)
        return Form(key, name)

    def find(self, call: Call, form: Form) -> Mold | None:
        """The mold of a form, unless what admission goes by has changed."""
        mold = self._known.get(form.key)
        if mold is None:
            return None
        versions = self._current(call)
        if versions is None or versions != self._versions:
            self._known.clear()
            return None
        return None if name_of(call.request.user) else mold

    def _current(self, call: Call) -> tuple[int, ...] | None:
        if not self._looked:
            self._looked = True
            self._footing = footing.footing_of(call.core.admission.steps, call.core.mirrors)
        return None if self._footing is None else self._footing.versions()

    def forget(self, form: Form) -> None:
        self._known.pop(form.key, None)

    async def learn(self, call: Call, form: Form, obj: JSONObject, stored: bytes) -> None:
        """Keep the mold of what a form became, from the second time on that the form comes."""
        mark = hash(form.key)
        if mark not in self._seen:
            if len(self._seen) >= limits.MOLD_CANDIDATES:
                self._seen.clear()
            self._seen.add(mark)
            return
        self._current(call)
        versions = await self._footing.read() if self._footing is not None else None
        if versions is None or call.warnings or name_of(call.request.user):
            return
        rests_on: list[tuple[str, int]] = []
        for key in footing.objects_of(obj):
            entry = await call.core.store.get(key)
            if entry is None or (not rests_on and not footing.is_plain(entry.value, obj)):
                return
            rests_on.append((key, entry.modified))
        if self._current(call) != versions:
            return
        mold = _mold_of(call, form, obj, stored, tuple(rests_on))
        if mold is None:
            return
        if versions != self._versions or len(self._known) >= limits.MOLDS:
            self._known.clear()
        self._versions = versions
        self._known[form.key] = mold


async def cast(call: Call, form: Form) -> Answer | None:
    """The answer to a create whose mold is known; None when it has to go the long way. Raises RevisionConflict."""
    core = call.core
    mold = core.molds.find(call, form)
    if mold is None:
        return None
    store, entropy = core.store, core.system.entropy
    for key, modified in mold.rests_on:
        entry = await store.get(key)
        if entry is None or entry.modified != modified:
            core.molds.forget(form)
            return None
    token = entropy.suffix() if mold.token else ""
    name = form.name or meta.generated_name(mold.prefix, entropy.suffix())
    slots = _slots(name, entropy.uuid(), core.now_text(), token)
    for attempt in range(1, limits.NAME_ATTEMPTS + 1):
        call.name = name
        try:
            stored = await store.put(call.key, mold.fill(slots), expect=0)
        except RevisionConflict:
            if form.name or attempt == limits.NAME_ATTEMPTS:
                raise
            name = meta.generated_name(mold.prefix, entropy.suffix())
            slots[b"name"] = name.encode()
            continue
        return Answer(status=201, body=stored.value)
    raise AssertionError("a cast ends with a name stored or refused")


def _slots(name: str, uid: str, now: str, token: str) -> dict[bytes, bytes]:
    return {b"name": name.encode(), b"uid": uid.encode(), b"now": now.encode(), b"token": token.encode()}


_TOKEN_VOLUME = "kube-api-access-"


def _mold_of(call: Call, form: Form, obj: JSONObject, stored: bytes, rests_on: Any) -> Mold | None:
    """The mold of an object as it has been stored; None when it holds more of its own than there are slots for."""
    metadata = obj["metadata"]
    entries: list[JSONObject] = metadata.get(managing.KEY) or []
    name, uid, now = metadata["name"], metadata["uid"], metadata["creationTimestamp"]
    if len(entries) != 1 or entries[0].get("time") != now or managing.KEY.encode() in call.request.body:
        return None
    token = _token_of(obj["spec"], call.request.body)
    slotted = {
        **metadata,
        "name": _SLOTS["name"],
        "uid": _SLOTS["uid"],
        "creationTimestamp": _SLOTS["now"],
        managing.KEY: [{**entries[0], "time": _SLOTS["now"]}],
    }
    draft = encoding.draft(call.kind.store_head, {**obj, "metadata": slotted})
    head, tail = _opened(draft.head), draft.tail
    if token:
        tail = _opened(tail.replace(_quoted(_TOKEN_VOLUME + token), _quoted(_TOKEN_VOLUME + _SLOTS["token"])))
    mold = Mold(head, tail, metadata.get("generateName", ""), bool(token), rests_on)
    revision = encoding.decode(stored)["metadata"]["resourceVersion"]
    if mold.fill(_slots(name, uid, now, token)).stamp(int(revision)) != stored:
        return None
    own = (uid, now, token) if token else (uid, now)
    if any(text.encode() in part for text in own for part in (head, tail)):
        return None
    # What was derived from the name would stay as it is: the name may come again only where the body itself has it.
    again = _quoted(name)
    return mold if head.count(again) + tail.count(again) <= form.key[-1].count(again) else None


def _token_of(spec: JSONObject, body: bytes) -> str:
    """The random end of the token volume's name; "" when there is none, or the body named it."""
    for volume in spec.get("volumes") or ():
        name: str = volume.get("name", "")
        if name.startswith(_TOKEN_VOLUME) and name.encode() not in body:
            return name.removeprefix(_TOKEN_VOLUME)
    return ""


def _quoted(text: str) -> bytes:
    return f'"{text}"'.encode()


def _opened(text: bytes) -> bytes:
    """A template for bytes' own formatting."""
    text = text.replace(b"%", b"%%")
    for slot, mark in _SLOTS.items():
        text = text.replace(mark.encode(), b"%%(%b)b" % slot.encode())
    return text
