"""Watch events survive being cut into chunks anywhere."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kube_actors.api.messages import WatchEvent
from kube_actors.client import ProtocolError
from kube_actors.client.lines import Lines, parse_event

EVENTS = st.builds(
    lambda kind, revision, text: WatchEvent(
        kind, msgspec.json.encode({"metadata": {"resourceVersion": str(revision)}, "text": text}), revision
    ),
    st.sampled_from(["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]),
    st.integers(1, 2**60),
    st.text(max_size=20),
)


@given(st.lists(EVENTS, max_size=8), st.data())
def test_any_cut_gives_the_same_events(events: list[WatchEvent], data: st.DataObject) -> None:
    body = b"".join(event.line() for event in events)
    lines, found = Lines(), []
    while body:
        size = data.draw(st.integers(1, len(body)))
        found += [parse_event(line) for line in lines.feed(body[:size])]
        body = body[size:]
    assert found == events
    assert not lines.unfinished


def test_an_error_event_has_no_revision() -> None:
    event = parse_event(b'{"type":"ERROR","object":{"kind":"Status","metadata":{},"code":410}}')
    assert (event.type, event.revision) == ("ERROR", 0)


@pytest.mark.parametrize("line", [b"<html>", b"{}", b'{"type":"NEW","object":{}}', b'{"type":"ADDED","object":[]}'])
def test_what_is_no_event_is_refused(line: bytes) -> None:
    with pytest.raises(ProtocolError, match="not a watch event"):
        parse_event(line)


def test_a_line_without_end_is_refused() -> None:
    lines = Lines(limit=10)
    lines.feed(b"0123456789")
    with pytest.raises(ProtocolError, match="more than 10 bytes"):
        lines.feed(b"0")
