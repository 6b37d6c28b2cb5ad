"""The reflector's machine: from every trouble back to a current state, never in a hot loop, never losing the thread."""

from __future__ import annotations

import pytest

from kube_actors.api import errors
from kube_actors.client.limits import REFLECTOR_BACKOFF_MAX_SECONDS
from kube_actors.client.reflector import (
    Failed,
    Go,
    List,
    Listed,
    Received,
    Reflector,
    Started,
    Synced,
    Wait,
    Waited,
    Watch,
    WatchEnded,
    failure_of,
)


def watching(version: str = "10") -> Reflector:
    machine = Reflector()
    assert machine.step(Started(), 0) == List("0")
    assert machine.step(Listed(version), 0) == Watch(version)
    return machine


def test_it_lists_then_watches_from_there() -> None:
    machine = watching()
    assert machine.step(Received("11"), 1) == Go()
    assert machine.resource_version == "11"


def test_a_watch_that_ends_is_opened_again_from_the_last_revision() -> None:
    machine = watching()
    machine.step(Received("15"), 1)
    assert machine.step(WatchEnded(lasted=300), 300) == Watch("15")


def test_a_quiet_watch_that_lived_long_enough_is_opened_again_at_once() -> None:
    assert watching().step(WatchEnded(lasted=300), 300) == Watch("10")


def test_a_watch_that_ends_at_once_and_empty_is_not_hammered() -> None:
    machine = watching()
    effect = machine.step(WatchEnded(lasted=0.01), 1)
    assert isinstance(effect, Wait)
    assert machine.step(Waited(), 2) == Watch("10")


def test_an_expired_revision_means_listing_the_newest_state_at_once() -> None:
    machine = watching()
    assert machine.step(Failed(expired=True), 1) == List("")
    assert machine.step(Listed("99"), 1) == Watch("99")


def test_expiry_again_and_again_waits() -> None:
    machine = watching()
    machine.step(Failed(expired=True), 1)
    assert isinstance(machine.step(Failed(expired=True), 1), Wait)
    assert machine.step(Waited(), 2) == List("")


def test_a_list_that_expires_as_soon_as_it_is_watched_waits() -> None:
    machine = watching()
    assert machine.step(Failed(expired=True), 1) == List("")
    assert machine.step(Listed("99"), 1) == Watch("99")
    assert isinstance(machine.step(Failed(expired=True), 1), Wait)
    assert machine.step(Waited(), 2) == List("")
    machine.step(Listed("120"), 2)
    machine.step(Received("121"), 2)
    assert machine.step(Failed(expired=True), 3) == List("")


def test_a_broken_connection_resumes_where_it_was() -> None:
    machine = watching()
    machine.step(Received("12"), 1)
    assert isinstance(machine.step(Failed(), 1), Wait)
    assert machine.step(Waited(), 2) == Watch("12")


def test_the_first_list_is_tried_until_it_works() -> None:
    machine = Reflector()
    machine.step(Started(), 0)
    assert isinstance(machine.step(Failed(), 0), Wait)
    assert machine.step(Waited(), 1) == List("0")


def test_pauses_double_up_to_a_limit_and_start_small_after_quiet() -> None:
    machine = watching()
    pauses = []
    for _ in range(12):
        effect = machine.step(Failed(), 0)
        assert isinstance(effect, Wait)
        pauses.append(effect.seconds)
        machine.step(Waited(), 0)
    assert pauses[1] == pauses[0] * 2
    assert pauses[-1] == REFLECTOR_BACKOFF_MAX_SECONDS
    assert machine.step(Failed(), 1000) == Wait(pauses[0])


def test_jitter_lengthens_a_pause() -> None:
    plain, drawn = watching().step(Failed(), 0), watching().step(Failed(), 0, jitter=0.5)
    assert isinstance(plain, Wait) and isinstance(drawn, Wait)
    assert drawn.seconds == pytest.approx(plain.seconds * 1.5)


def test_stream_mode_has_the_state_sent_by_the_watch_itself() -> None:
    machine = Reflector("stream")
    assert machine.step(Started(), 0) == Watch("", initial=True)
    assert machine.step(Received("5"), 0) == Go()
    assert machine.step(Synced("7"), 0) == Go()
    assert machine.step(WatchEnded(lasted=300), 300) == Watch("7")


def test_stream_mode_begins_anew_when_cut_before_the_state_was_complete() -> None:
    machine = Reflector("stream")
    machine.step(Started(), 0)
    machine.step(Received("5"), 0)
    assert machine.step(WatchEnded(lasted=2), 2) == Watch("", initial=True)


def test_a_server_without_initial_events_is_listed() -> None:
    machine = Reflector("stream")
    machine.step(Started(), 0)
    assert machine.step(Failed(unsupported=True), 0) == List("0")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (errors.gone("too old"), Failed(expired=True)),
        (errors.expired("too old"), Failed(expired=True)),
        (errors.too_large(100, 5), Failed(expired=True)),
        (errors.internal("broken"), Failed()),
        (errors.bad_request("no"), Failed(unsupported=True)),
    ],
)
def test_what_refusals_mean(error: errors.ApiError, expected: Failed) -> None:
    assert failure_of(error) == expected
