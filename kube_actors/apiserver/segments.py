"""Long lists in pieces that are kept: a list that is asked for again is not joined again.

Owns the encoded pieces of lists of whole objects, a run of neighbours each, within a named limit. A piece holds for as
long as its run consists of the same entries; since entries are values, looking at their identity is enough, and nobody
has to tell when something is written. Never used for selections, or where a store makes its entries anew every time.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import is_

from msgspec import Struct

from kube_actors.apiserver import encoding
from kube_actors.store.contract import Entry

KEPT_BYTES = 32 * 1024 * 1024
"""Pieces kept, of all kinds together."""
LONG = 256
"""A list of fewer objects is joined anew, which takes no time."""
PIECE_BYTES = 512 * 1024
"""A piece that has come to this ends."""
LONG_RUN, SHORT_RUN = 256, 32
"""Objects of one piece at most, and at least where another piece follows."""


class Segment(Struct, frozen=True):
    """A run of entries and what they are in a list, each with a comma before it."""

    entries: Sequence[Entry]
    data: bytes


class Segments:
    """Of one server."""

    def __init__(self) -> None:
        self._known: dict[tuple[bytes, str], Segment] = {}
        self._bytes = 0

    def pieces(self, entries: Sequence[Entry], head: bytes) -> list[bytes]:
        """The items of a list, each with a comma before it but the very first. `head` is what they do without."""
        found: list[bytes] = []
        at = 0
        while at < len(entries):
            segment = self._known.get((head, entries[at].key))
            if segment is None or not _holds(segment, entries, at):
                segment = self._built(entries, at, head)
            found.append(segment.data)
            at += len(segment.entries)
        if found:
            found[0] = found[0][1:]
        return found

    def _built(self, entries: Sequence[Entry], start: int, head: bytes) -> Segment:
        known = self._known
        end, last = start + 1, min(start + LONG_RUN, len(entries))
        size = len(entries[start].value)
        while size < PIECE_BYTES and end < last and (end - start < SHORT_RUN or (head, entries[end].key) not in known):
            size += len(entries[end].value)
            end += 1
        if end - start == LONG_RUN:  # nothing known follows, so there is room for what will come in between
            end = start + LONG_RUN // 2
        run = entries[start:end]
        for entry in run:
            gone = known.pop((head, entry.key), None)
            if gone is not None:
                self._bytes -= len(gone.data)
        segment = Segment(run, b"," + b",".join([encoding.item(head, entry.value) for entry in run]))
        if self._bytes + len(segment.data) > KEPT_BYTES:
            known.clear()
            self._bytes = 0
        known[head, run[0].key] = segment
        self._bytes += len(segment.data)
        return segment


def _holds(segment: Segment, entries: Sequence[Entry], at: int) -> bool:
    run = segment.entries
    return len(run) <= len(entries) - at and all(map(is_, run, entries[at : at + len(run)]))
