"""Objects as stored bytes: encoded once, with a slot for the revision, lists as a join.

The layout is fixed: kind, apiVersion, metadata (resourceVersion last), then the rest. That lets a list drop kind and
apiVersion of its items by slicing, as Kubernetes lists have it. Owns the layout; never looks at what an object means.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from kube_actors.store.contract import Draft, Entry

JSONObject = dict[str, Any]

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


def decode(value: bytes) -> JSONObject:
    """Stored bytes as a dict of the caller's own."""
    found: JSONObject = _decode(value)
    return found


def encode(value: Any) -> bytes:
    return _encode(value)


def head_of(kind: str, api_version: str) -> bytes:
    """What every stored object of a kind begins with."""
    return b'{"kind":"%b","apiVersion":"%b",' % (kind.encode(), api_version.encode())


def draft(head: bytes, obj: JSONObject) -> Draft:
    """The object's bytes with a slot in place of metadata.resourceVersion; kind and apiVersion come from head."""
    meta = obj["metadata"]
    if "resourceVersion" in meta:
        meta = {key: value for key, value in meta.items() if key != "resourceVersion"}
    front = b'%b"metadata":%b' % (head, _encode(meta)[:-1])
    slot = b',"resourceVersion":"' if meta else b'"resourceVersion":"'
    rest = _encode({key: value for key, value in obj.items() if key not in _FRONT})
    return Draft(front + slot, b'"}}' if rest == b"{}" else b'"},' + rest[1:])


_FRONT = frozenset({"kind", "apiVersion", "metadata"})


def whole(head: bytes, obj: JSONObject) -> bytes:
    """An object's bytes, resourceVersion and all."""
    rest = _encode({key: value for key, value in obj.items() if key not in _FRONT})
    front = b'%b"metadata":%b' % (head, _encode(obj["metadata"]))
    return front + (b"}" if rest == b"{}" else b"," + rest[1:])


def item(head: bytes, value: bytes) -> bytes:
    """A stored object as it stands in a list: without kind and apiVersion."""
    return b"{" + value[len(head) :] if value.startswith(head) else value


def around(list_kind: str, api_version: str, metadata: JSONObject) -> tuple[bytes, bytes]:
    """What stands before and after the items of a list."""
    front = b'{"kind":"%b","apiVersion":"%b","metadata":%b,"items":[' % (
        list_kind.encode(),
        api_version.encode(),
        _encode(metadata),
    )
    return front, b"]}\n"


def listing(list_kind: str, api_version: str, metadata: JSONObject, head: bytes, values: Sequence[bytes]) -> bytes:
    """A list of whole objects, which lose their head. A long list is copied once: it may have 16 MB."""
    front, back = around(list_kind, api_version, metadata)
    if not values:
        return front + back
    size = len(head)
    if all(value.startswith(head) for value in values):
        parts = [value[size:] for value in values]
        parts[0] = front + b"{" + parts[0]
        parts[-1] += back
        return b",{".join(parts)
    return b"%b%b%b" % (front, b",".join([item(head, value) for value in values]), back)


def same(old: Entry, new: Draft) -> bool:
    """Whether writing `new` would change nothing but the revision."""
    return old.draft() == new


def as_long(old: Entry, new: Draft) -> bool:
    """Whether `new` may differ in the order of its keys alone."""
    return len(new.head) + len(new.tail) + len(str(old.modified)) == len(old.value)
