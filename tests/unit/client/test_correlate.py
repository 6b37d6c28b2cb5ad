"""Which events are written: counted, combined, or cut off, as Kubernetes' clients do."""

from __future__ import annotations

from kube_actors.api.types.core_v1 import ObjectReference
from kube_actors.client.correlate import COMBINED, Correlator, Occurrence, Verdict, Written

WEB = ObjectReference(kind="Pod", namespace="default", name="web", uid="1", api_version="v1")


def happens(message: str, at: float = 0.0, about: ObjectReference = WEB, reason: str = "Failed") -> Occurrence:
    return Occurrence(about=about, type="Warning", reason=reason, message=message, at=at)


def write(correlator: Correlator, occurrence: Occurrence, name: str = "web.1") -> Verdict:
    verdict = correlator.judge(occurrence)
    assert verdict is not None
    correlator.wrote(verdict, Written(name=name, namespace="default", count=verdict.count, first_at=occurrence.at))
    return verdict


def test_the_first_of_its_kind_is_a_new_event() -> None:
    verdict = write(Correlator(), happens("boom"))
    assert (verdict.previous, verdict.count, verdict.message) == (None, 1, "boom")


def test_the_same_again_raises_the_count() -> None:
    correlator = Correlator()
    write(correlator, happens("boom"))
    verdict = write(correlator, happens("boom", at=5))
    assert verdict.previous is not None and verdict.previous.name == "web.1"
    assert verdict.count == 2
    assert write(correlator, happens("boom", at=6)).count == 3


def test_an_event_that_expired_is_written_anew() -> None:
    correlator = Correlator()
    first = write(correlator, happens("boom"))
    correlator.lost(first)
    again = correlator.judge(happens("boom"))
    assert again is not None and again.previous is None


def test_other_objects_and_reasons_are_other_events() -> None:
    correlator = Correlator()
    write(correlator, happens("boom"))
    other = ObjectReference(kind="Pod", namespace="default", name="db", uid="2", api_version="v1")
    assert write(correlator, happens("boom", about=other)).previous is None
    assert write(correlator, happens("boom", reason="Killed")).previous is None


def test_many_similar_events_are_combined() -> None:
    correlator = Correlator()
    verdicts = [write(correlator, happens(f"attempt {n}", at=n)) for n in range(12)]
    assert [verdict.message for verdict in verdicts[:9]] == [f"attempt {n}" for n in range(9)]
    assert verdicts[9].message == f"{COMBINED}attempt 9"
    assert verdicts[9].previous is None
    assert verdicts[10].previous is not None
    assert verdicts[11].count == 3


def test_similar_events_far_apart_are_not_combined() -> None:
    correlator = Correlator()
    messages = [write(correlator, happens(f"attempt {n}", at=n * 700)).message for n in range(12)]
    assert messages == [f"attempt {n}" for n in range(12)]


def test_a_flood_about_one_object_is_cut_off_and_trickles() -> None:
    correlator = Correlator()
    for n in range(25):
        write(correlator, happens(str(n), reason=f"Reason{n}"))
    assert correlator.judge(happens("more")) is None
    other = ObjectReference(kind="Pod", namespace="default", name="db", uid="2", api_version="v1")
    assert correlator.judge(happens("boom", about=other)) is not None
    assert correlator.judge(happens("more", at=299)) is None
    assert correlator.judge(happens("more", at=301)) is not None


def test_suppressed_repetitions_still_count() -> None:
    correlator = Correlator()
    for _ in range(25):
        write(correlator, happens("boom"))
    for _ in range(5):
        assert correlator.judge(happens("boom")) is None
    verdict = correlator.judge(happens("boom", at=300.5))
    assert verdict is not None and verdict.count == 31
