"""The election's machine: at most one leader, whatever the clocks of the hosts say."""

from __future__ import annotations

import pytest

from kube_actors.api.time import parse_time
from kube_actors.api.types.coordination_v1 import Lease, LeaseSpec
from kube_actors.api.types.meta_v1 import ObjectMeta
from kube_actors.client.leader import Election, ElectionConfig, Found, Held, Lost, Pause, Refused, Write

CONFIG = ElectionConfig(name="scheduler", namespace="kube-system", identity="a")


def lease(holder: str, renewed: str = "2026-01-01T00:00:00.000000Z", transitions: int = 0) -> Lease:
    return Lease(
        metadata=ObjectMeta(name="scheduler", namespace="kube-system", resource_version="5"),
        spec=LeaseSpec(
            holder_identity=holder,
            lease_duration_seconds=15,
            acquire_time="2026-01-01T00:00:00.000000Z",
            renew_time=renewed,
            lease_transitions=transitions,
        ),
    )


def leading(now: float = 0.0) -> Election:
    election = Election(CONFIG)
    effect = election.step(Found(None), now, 1000.0)
    assert isinstance(effect, Write)
    assert election.step(Held(Lease(spec=effect.spec)), now, 1000.0) == Pause(2.0, True)
    assert election.leading
    return election


def test_a_lease_that_is_not_there_is_made() -> None:
    effect = Election(CONFIG).step(Found(None), 0.0, 1_767_225_600.5)
    assert isinstance(effect, Write)
    assert effect.previous is None
    assert effect.spec.holder_identity == "a"
    assert effect.spec.renew_time == "2026-01-01T00:00:00.500000Z"
    assert effect.spec.lease_transitions == 0


def test_a_foreign_lease_is_left_alone_for_its_duration_as_we_saw_it() -> None:
    election = Election(CONFIG)
    # The holder's clock is years behind ours: that must not matter.
    foreign = lease("b", renewed="2020-01-01T00:00:00.000000Z", transitions=3)
    assert election.step(Found(foreign), 100.0, 2e9) == Pause(2.0, False)
    assert election.step(Found(foreign), 114.9, 2e9) == Pause(2.0, False)
    effect = election.step(Found(foreign), 115.0, 2e9)
    assert isinstance(effect, Write)
    assert effect.previous == foreign
    assert effect.spec.lease_transitions == 4


def test_a_renewed_foreign_lease_is_fresh_again() -> None:
    election = Election(CONFIG)
    election.step(Found(lease("b")), 100.0, 0.0)
    election.step(Found(lease("b", renewed="2026-01-01T00:00:10.000000Z")), 110.0, 0.0)
    assert isinstance(election.step(Found(lease("b", renewed="2026-01-01T00:00:10.000000Z")), 120.0, 0.0), Pause)


def test_a_released_lease_is_taken_at_once() -> None:
    assert isinstance(Election(CONFIG).step(Found(lease("")), 0.0, 0.0), Write)


def test_renewing_keeps_the_time_of_acquisition_and_the_transitions() -> None:
    election = leading()
    effect = election.step(Found(lease("a", transitions=7)), 2.0, 1002.0)
    assert isinstance(effect, Write)
    assert effect.spec.acquire_time == "2026-01-01T00:00:00.000000Z"
    assert effect.spec.lease_transitions == 7
    assert parse_time(effect.spec.renew_time or "") == 1002.0


def test_failing_to_renew_is_borne_until_the_deadline() -> None:
    election = leading(now=0.0)
    assert election.step(Refused(), 9.9, 0.0) == Pause(2.0, True)
    assert election.step(Refused(), 10.0, 0.0) == Lost()
    assert not election.leading


def test_the_deadline_counts_from_before_the_write() -> None:
    election = leading(now=0.0)
    election.step(Found(lease("a")), 2.0, 0.0)
    election.step(Held(lease("a")), 8.0, 0.0)  # the write took six seconds
    assert election.deadline() == 12.0


def test_somebody_elses_name_in_our_lease_ends_our_leading() -> None:
    election = leading()
    assert election.step(Found(lease("b")), 1.0, 0.0) == Lost()


def test_stepping_down_frees_the_lease() -> None:
    election = leading()
    spec = election.released()
    assert spec is not None
    assert (spec.holder_identity, spec.lease_duration_seconds) == ("", 1)
    assert election.released() is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"identity": ""}, "identity"),
        ({"renew_deadline_seconds": 15.0}, "longer than the renew deadline"),
        ({"retry_seconds": 9.0}, "longer than the retry period"),
    ],
)
def test_impossible_periods_are_refused(change: dict[str, object], message: str) -> None:
    fields: dict[str, object] = {"name": "n", "namespace": "ns", "identity": "a", **change}
    with pytest.raises(ValueError, match=message):
        ElectionConfig(**fields)  # type: ignore[arg-type]
