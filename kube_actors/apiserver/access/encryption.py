"""Secrets encrypted at rest: a store around a store, which seals the values of chosen resources with AES-GCM.

Owns the form of a sealed value and the reading of an EncryptionConfiguration. What is sealed is bound to its key, so
that values cannot be exchanged for one another. Everything above sees plain values, and everything below sealed ones;
the slot of the revision stays where engines can see it.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct, structs

from kube_actors.store.contract import (
    WATCH_CAPACITY,
    Draft,
    Entry,
    Event,
    Filed,
    Page,
    RevisionConflict,
    Store,
    StoreError,
    StoreStatistics,
    WatchStatistics,
    WatchStream,
)
from kube_actors.store.stream import Stream

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

JSONObject = dict[str, Any]

MARK = b"k8s:enc:aesgcm:v1:"
NONCE_BYTES = 12
KEY_SIZES = (16, 24, 32)


class EncryptionError(ValueError):
    """An EncryptionConfiguration that cannot be used; the text names the field."""


class CannotDecrypt(StoreError):
    """A stored value that none of the configured keys opens."""

    def __init__(self, key: str, why: str) -> None:
        super().__init__(f'unable to transform key "{key}": {why}')


class _Key(Struct, frozen=True, rename="camel"):
    name: str
    secret: str


class _Provider(Struct, frozen=True, forbid_unknown_fields=True):
    aesgcm: dict[str, list[_Key]] | None = None
    identity: JSONObject | None = None


class _Rule(Struct, frozen=True, forbid_unknown_fields=True):
    resources: list[str]
    providers: list[_Provider]


class Configuration(Struct, frozen=True, rename="camel"):
    """The part of apiserver.config.k8s.io/v1 EncryptionConfiguration that is understood: aesgcm and identity."""

    kind: str
    api_version: str
    resources: list[_Rule]


class Sealer:
    """The keys of one group of resources; the first of them seals, or nothing does when identity comes first."""

    def __init__(self, keys: Sequence[tuple[str, bytes]], *, seals: bool, nonce: Callable[[int], bytes]) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # lazy: heavy import

        self._keys: dict[str, AESGCM] = {name: AESGCM(key) for name, key in keys}
        self._name = keys[0][0] if seals else ""
        self._nonce = nonce

    def seal(self, key: str, draft: Draft) -> Draft:
        if not self._name:
            return draft
        cipher = self._keys[self._name]
        head, tail = self._nonce(NONCE_BYTES), self._nonce(NONCE_BYTES)
        return Draft(
            MARK + self._name.encode() + b":" + head + cipher.encrypt(head, draft.head, f"head {key}".encode()),
            tail + cipher.encrypt(tail, draft.tail, f"tail {key}".encode()),
        )

    def open(self, key: str, draft: Draft) -> Draft:
        """Raises CannotDecrypt."""
        from cryptography.exceptions import InvalidTag  # lazy: heavy import

        if not draft.head.startswith(MARK):
            if draft.head.startswith(b"k8s:enc:"):
                raise CannotDecrypt(key, "no matching prefix found")
            return draft
        name, _, head = draft.head[len(MARK) :].partition(b":")
        cipher = self._keys.get(name.decode(errors="replace"))
        if cipher is None:
            raise CannotDecrypt(key, "no matching key was found for the provided AES-GCM transformer")
        tail = draft.tail
        try:
            return Draft(
                cipher.decrypt(head[:NONCE_BYTES], head[NONCE_BYTES:], f"head {key}".encode()),
                cipher.decrypt(tail[:NONCE_BYTES], tail[NONCE_BYTES:], f"tail {key}".encode()),
            )
        except InvalidTag:
            raise CannotDecrypt(key, "the key does not fit: cipher: message authentication failed") from None


def sealers(config: JSONObject, nonce: Callable[[int], bytes]) -> dict[str, Sealer]:
    """By resource ("secrets", "widgets.example.com"). Raises EncryptionError."""
    try:
        read = msgspec.convert(config, Configuration)
    except msgspec.ValidationError as error:
        raise EncryptionError(str(error)) from None
    if read.kind != "EncryptionConfiguration":
        raise EncryptionError(f"kind: {read.kind!r} is not EncryptionConfiguration")
    found: dict[str, Sealer] = {}
    for place, rule in enumerate(read.resources):
        keys: list[tuple[str, bytes]] = []
        for number, provider in enumerate(rule.providers):
            for key in (provider.aesgcm or {}).get("keys", []):
                keys.append((key.name, _secret(f"resources[{place}].providers[{number}].aesgcm.keys", key)))
        if not rule.providers:
            raise EncryptionError(f"resources[{place}].providers: at least one is needed")
        sealer = Sealer(keys, seals=rule.providers[0].identity is None and bool(keys), nonce=nonce)
        for resource in rule.resources:
            found.setdefault(resource, sealer)
    return found


def _secret(where: str, key: _Key) -> bytes:
    try:
        secret = base64.b64decode(key.secret, validate=True)
    except binascii.Error:
        raise EncryptionError(f"{where}: the secret of {key.name!r} is not base64") from None
    if len(secret) not in KEY_SIZES:
        raise EncryptionError(f"{where}: the secret of {key.name!r} has {len(secret)} bytes, not 16, 24 or 32")
    if ":" in key.name or not key.name:
        raise EncryptionError(f"{where}: {key.name!r} is no name for a key")
    return secret


class EncryptedStore:
    """A `Store` whose values under some prefixes are sealed in the store beneath."""

    def __init__(self, inner: Store, by_resource: dict[str, Sealer]) -> None:
        self._inner = inner
        self._sealers = {_prefix(resource): sealer for resource, sealer in by_resource.items()}

    @property
    def revision(self) -> int:
        return self._inner.revision

    @property
    def compacted(self) -> int:
        return self._inner.compacted

    def _sealer(self, key: str) -> Sealer | None:
        for prefix, sealer in self._sealers.items():
            if key.startswith(prefix):
                return sealer
        return None

    def entry(self, entry: Entry) -> Entry:
        """A stored entry as it was written. Raises CannotDecrypt."""
        sealer = self._sealer(entry.key)
        if sealer is None:
            return entry
        draft = sealer.open(entry.key, entry.draft())
        return Entry(entry.key, draft.stamp(entry.modified), entry.created, entry.modified, len(draft.head))

    def event(self, event: Event) -> Event:
        if self._sealer(event.key) is None:
            return event
        shown = self.entry(event.entry())
        previous = self.entry(event.previous) if event.previous is not None else None
        return structs.replace(event, value=shown.value, previous=previous, slot=shown.slot)

    async def get(self, key: str) -> Entry | None:
        found = await self._inner.get(key)
        return None if found is None else self.entry(found)

    async def list(self, prefix: str, *, revision: int = 0, after: str = "", limit: int = 0) -> Page:
        page = await self._inner.list(prefix, revision=revision, after=after, limit=limit)
        if not any(each.startswith(prefix) or prefix.startswith(each) for each in self._sealers):
            return page
        return structs.replace(page, entries=[self.entry(each) for each in page.entries])

    async def put(self, key: str, draft: Draft, *, expect: int | None) -> Entry:
        sealer = self._sealer(key)
        if sealer is None:
            return await self._inner.put(key, draft, expect=expect)
        try:
            done = await self._inner.put(key, sealer.seal(key, draft), expect=expect)
        except RevisionConflict as lost:
            raise self._shown(lost) from None
        return Entry(key, draft.stamp(done.modified), done.created, done.modified, len(draft.head))

    async def delete(self, key: str, *, expect: int | None, last: Draft | None = None) -> Entry:
        sealer = self._sealer(key)
        sealed = sealer.seal(key, last) if sealer is not None and last is not None else last
        try:
            return self.entry(await self._inner.delete(key, expect=expect, last=sealed))
        except RevisionConflict as lost:
            raise self._shown(lost) from None

    def _shown(self, lost: RevisionConflict) -> RevisionConflict:
        return RevisionConflict(lost.key, None if lost.current is None else self.entry(lost.current))

    def watch(
        self, prefix: str, *, after: int, capacity: int = WATCH_CAPACITY, filed: Filed | None = None
    ) -> WatchStream:
        """Sealed values cannot be filed, so a watch of them is given everything."""
        if not any(each.startswith(prefix) or prefix.startswith(each) for each in self._sealers):
            return self._inner.watch(prefix, after=after, capacity=capacity, filed=filed)
        return _OpenedStream(self._inner.watch(prefix, after=after, capacity=capacity), self)

    async def compact(self, revision: int) -> None:
        await self._inner.compact(revision)

    def statistics(self) -> StoreStatistics:
        return self._inner.statistics()

    async def aclose(self) -> None:
        await self._inner.aclose()


class _OpenedStream(Stream):
    """A watch whose events are opened as they are read."""

    def __init__(self, inner: WatchStream, store: EncryptedStore) -> None:
        self._inner = inner
        self._store = store

    async def receive(self) -> Event:
        return self._store.event(await self._inner.receive())

    async def receive_batch(self) -> list[Event]:
        return [self._store.event(event) for event in await self._inner.receive_batch()]

    @property
    def position(self) -> int:
        return self._inner.position

    def statistics(self) -> WatchStatistics:
        return self._inner.statistics()

    def close(self) -> None:
        self._inner.close()


def _prefix(resource: str) -> str:
    """Where a resource's objects are stored; "*.*" and "*" are all."""
    if resource in ("*", "*.*"):
        return "/registry/"
    plural, _, group = resource.partition(".")
    if plural == "*":
        return f"/registry/{group or 'core'}/"
    return f"/registry/{group or 'core'}/{plural}/"
