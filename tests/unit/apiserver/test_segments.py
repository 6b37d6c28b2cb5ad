"""Pieces of lists: joined they are the list, whatever changed since they were made."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from kube_actors.apiserver import encoding, segments
from kube_actors.apiserver.segments import Segments
from kube_actors.store.contract import Entry

HEAD = encoding.head_of("ConfigMap", "v1")


def entry(number: int, revision: int) -> Entry:
    return Entry(f"/maps/{number:05}", HEAD + b'"metadata":{"name":"%d-%d"}}' % (number, revision), 1, revision, 0)


def joined(entries: list[Entry]) -> bytes:
    return b",".join(encoding.item(HEAD, each.value) for each in entries)


Steps = st.lists(st.tuples(st.sampled_from(["put", "delete", "page"]), st.integers(0, 700)), max_size=12)


@settings(max_examples=25, deadline=None)
@given(Steps, st.booleans())
def test_the_pieces_are_the_list(steps: list[tuple[str, int]], small: bool) -> None:
    known = Segments()
    held = {number: entry(number, 1) for number in range(0, 600, 2)}
    for revision, (what, number) in enumerate([("page", 0), *steps], 2):
        if what == "put":
            held[number] = entry(number, revision)
        elif what == "delete":
            held.pop(number, None)
        entries = [held[key] for key in sorted(held)]
        if what == "page":
            entries = entries[number % 90 :][: 50 if small else 700]
        assert b"".join(known.pieces(entries, HEAD)) == joined(entries)


def test_what_has_not_changed_is_not_joined_again() -> None:
    known, entries = Segments(), [entry(number, 1) for number in range(1000)]
    first = known.pieces(entries, HEAD)
    assert [id(piece) for piece in known.pieces(entries, HEAD)][1:] == [id(piece) for piece in first][1:]
    entries[500] = entry(500, 2)
    entries.insert(300, entry(9000, 2))
    again = {id(piece) for piece in known.pieces(entries, HEAD)}
    assert len([piece for piece in first if id(piece) not in again]) <= 4


def test_no_more_is_kept_than_the_limit_says() -> None:
    known = Segments()
    big = [Entry(f"/maps/{number:05}", HEAD + b"x" * 200_000, 1, 1, 0) for number in range(200)]
    assert sum(map(len, known.pieces(big, HEAD))) == len(joined(big))
    assert known._bytes <= segments.KEPT_BYTES
    assert known._bytes == sum(len(each.data) for each in known._known.values())
