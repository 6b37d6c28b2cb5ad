"""The machine against a naive model that keeps every state it was ever in."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from kube_actors.store import keys as keys_module
from kube_actors.store.contract import (
    Compacted,
    Draft,
    Entry,
    Event,
    FutureRevision,
    Retention,
    RevisionConflict,
)
from kube_actors.store.keys import SortedKeys, prefix_end
from kube_actors.store.machine import Machine, decide_delete, decide_put

KEYS = st.sampled_from([f"/r/{plural}/{name}" for plural in ("a", "ab", "b") for name in ("", "x", "xy", "z/q")])
PREFIXES = st.sampled_from(["", "/", "/r/", "/r/a", "/r/a/", "/r/a/x", "/r/b/", "/r/b/z/", "/none/"])
DRAFTS = st.builds(Draft, st.binary(max_size=6), st.binary(max_size=6))


class MachineAgainstModel(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.machine = Machine(retention=Retention(events=30, value_bytes=200))
        self.states: dict[int, dict[str, Entry]] = {1: {}}
        self.events: list[Event] = []

    @property
    def now(self) -> dict[str, Entry]:
        return self.states[self.machine.revision]

    @rule(key=KEYS, draft=DRAFTS, kind=st.sampled_from(["any", "right", "wrong"]))
    def put(self, key: str, draft: Draft, kind: str) -> None:
        current = self.now.get(key)
        at = current.modified if current else 0
        expect = {"any": None, "right": at, "wrong": at + 1}[kind]
        revision = self.machine.revision + 1
        if kind == "wrong":
            with pytest.raises(RevisionConflict) as caught:
                decide_put(self.machine.get(key), key, draft, expect, revision)
            assert caught.value.current == current
            return
        event = decide_put(self.machine.get(key), key, draft, expect, revision)
        entry = self.machine.apply(event)
        assert entry.value == draft.head + str(revision).encode() + draft.tail
        assert entry.draft() == draft
        created = current.created if current else revision
        assert (entry.created, entry.modified) == (created, revision)
        assert event.previous == current
        self.states[revision] = {**self.states[revision - 1], key: entry}
        self.events.append(event)

    @rule(key=KEYS, last=st.none() | DRAFTS)
    def delete(self, key: str, last: Draft | None) -> None:
        current, revision = self.now.get(key), self.machine.revision + 1
        if current is None:
            with pytest.raises(RevisionConflict):
                decide_delete(None, key, last, None, revision)
            return
        with pytest.raises(RevisionConflict):
            decide_delete(current, key, last, current.modified + 1, revision)
        event = decide_delete(self.machine.get(key), key, last, current.modified, revision)
        entry = self.machine.apply(event)
        assert entry.value == (last or current.draft()).stamp(revision)
        assert event.deleted and event.value is entry.value
        self.states[revision] = {k: v for k, v in self.states[revision - 1].items() if k != key}
        self.events.append(event)

    @rule(prefix=PREFIXES, after=st.just("") | KEYS, limit=st.integers(0, 5), data=st.data())
    def list_then(self, prefix: str, after: str, limit: int, data: st.DataObject) -> None:
        revision = data.draw(st.integers(max(self.machine.compacted, 1), self.machine.revision))
        state = self.states[revision]
        expected = [state[key] for key in sorted(state) if key.startswith(prefix) and key > after]
        page = self.machine.list(prefix, revision=revision, after=after, limit=limit)
        shown = expected[:limit] if limit else expected
        assert list(page.entries) == shown
        assert page.revision == revision
        assert page.remaining == len(expected) - len(shown)
        assert page.more == (page.remaining > 0)

    @rule(prefix=PREFIXES, data=st.data())
    def since(self, prefix: str, data: st.DataObject) -> None:
        after = data.draw(st.integers(self.machine.compacted, self.machine.revision))
        expected = [e for e in self.events if e.revision > after and e.key.startswith(prefix)]
        assert list(self.machine.since(prefix, after)) == expected

    @precondition(lambda self: self.machine.revision > 1)
    @rule(data=st.data())
    def compact(self, data: st.DataObject) -> None:
        revision = data.draw(st.integers(0, self.machine.revision))
        before = self.machine.compacted
        dead = self.machine.compact(revision)
        self._check_forgotten(before, dead)

    @rule()
    def retire(self) -> None:
        before = self.machine.compacted
        self._check_forgotten(before, self.machine.retire())
        assert self.machine.history_events <= 30 * 1.25
        assert self.machine.history_bytes <= 200 * 1.25

    def _check_forgotten(self, before: int, dead: tuple[int, ...]) -> None:
        """Dead are exactly the writes up to the compaction that the state then does not show."""
        compacted = self.machine.compacted
        if compacted == before:
            assert dead == ()
            return
        alive = {entry.modified for entry in self.states[max(compacted, 1)].values()}
        alive_before = {entry.modified for entry in self.states[max(before, 1)].values()}
        written = {e.revision for e in self.events if before < e.revision <= compacted}
        assert sorted(dead) == sorted((written | alive_before) - alive)

    @invariant()
    def refuses_what_it_does_not_know(self) -> None:
        with pytest.raises(FutureRevision):
            self.machine.list("", revision=self.machine.revision + 1)
        with pytest.raises(FutureRevision):
            self.machine.since("", self.machine.revision + 1)
        with pytest.raises(FutureRevision):
            self.machine.compact(self.machine.revision + 1)
        if self.machine.compacted > 1:
            with pytest.raises(Compacted):
                self.machine.list("", revision=self.machine.compacted - 1)
        if self.machine.compacted > 0:
            with pytest.raises(Compacted):
                self.machine.since("", self.machine.compacted - 1)

    @invariant()
    def sizes_add_up(self) -> None:
        assert len(self.machine) == len(self.now)
        assert self.machine.value_bytes == sum(len(entry.value) for entry in self.now.values())
        history = [e for e in self.events if e.revision > self.machine.compacted]
        assert self.machine.history_events == len(history)
        assert self.machine.history_bytes == sum(len(event.value) for event in history)


TestMachine = MachineAgainstModel.TestCase
TestMachine.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)


def test_a_loaded_machine_goes_on_where_it_was() -> None:
    first = Machine()
    for number in range(5):
        first.apply(decide_put(None, f"/k/{number}", Draft(b"<", b">"), 0, first.revision + 1))
    second = Machine(entries=first.list("").entries, revision=first.revision, compacted=first.revision)
    assert list(second.list("").entries) == list(first.list("").entries)
    with pytest.raises(Compacted):
        second.since("", 3)


NAMES = st.text(alphabet="ab/\U0010ffff", max_size=5)


@given(
    st.sets(NAMES, max_size=40), st.lists(st.tuples(st.booleans(), NAMES), max_size=80), NAMES, NAMES, st.integers(0, 4)
)
def test_sorted_keys_against_a_sorted_list(
    start: set[str], changes: list[tuple[bool, str]], prefix: str, after: str, limit: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keys_module, "CHUNK", 3)
        ours, model = SortedKeys(start), set(start)
        for add, key in changes:
            if add and key not in model:
                ours.add(key)
                model.add(key)
            elif not add and key in model:
                ours.remove(key)
                model.remove(key)
        expected = [key for key in sorted(model) if key.startswith(prefix) and key > after]
        assert ours.take(prefix, after) == expected
        assert ours.take(prefix, after, limit) == (expected[:limit] if limit else expected)
        assert list(ours.walk(prefix, after)) == expected
        assert ours.count(prefix, after) == len(expected)
        assert len(ours) == len(model)


@given(NAMES, NAMES)
def test_the_end_of_a_prefix_is_beyond_all_that_begin_with_it(prefix: str, rest: str) -> None:
    end = prefix_end(prefix)
    if end is None:
        assert not prefix.strip(chr(0x10FFFF))
    else:
        assert end > prefix + rest and not end.startswith(prefix)
