"""Clock, entropy and story: the inputs that make a run replayable."""

from __future__ import annotations

import re

import trio
import trio.testing

from kube_actors.actors import VIRTUAL_EPOCH, Entropy, Story, SystemClock, VirtualClock


async def test_virtual_time_moves_with_trio(autojump_clock: trio.testing.MockClock) -> None:
    clock = VirtualClock()
    before = clock.now(), clock.monotonic()
    await trio.sleep(3600)
    assert clock.now() - before[0] == 3600
    assert clock.monotonic() - before[1] == 3600
    assert clock.now() >= VIRTUAL_EPOCH


def test_the_system_clock_agrees_with_itself() -> None:
    clock = SystemClock()
    assert clock.monotonic() <= clock.monotonic()
    assert clock.now() > 1_700_000_000


def draw(entropy: Entropy) -> list[object]:
    child = entropy.split("child")
    return [
        entropy.uuid(),
        entropy.suffix(),
        entropy.random(),
        entropy.integer(1, 6),
        entropy.choice("abc"),
        entropy.jitter(1.0, 0.5),
        entropy.token(),
        entropy.serial(),
        child.uuid(),
    ]


def test_a_seed_decides_everything_and_different_seeds_differ() -> None:
    assert draw(Entropy(7)) == draw(Entropy(7))
    assert draw(Entropy(7)) != draw(Entropy(8))
    assert draw(Entropy()) != draw(Entropy())


def test_identities_have_their_usual_form() -> None:
    entropy = Entropy(1)
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", entropy.uuid())
    assert re.fullmatch(r"[bcdfghjklmnpqrstvwxz2456789]{5}", entropy.suffix())
    assert 1 <= entropy.integer(1, 6) <= 6
    assert 0 < entropy.serial() < 2**159


def test_a_story_is_found_by_uid_and_by_actor_and_forgets_the_oldest() -> None:
    class Fixed:
        def now(self) -> float:
            return 12.0

        def monotonic(self) -> float:
            return 0.0

    story = Story(Fixed(), capacity=3)
    story.tell("scheduler", "saw", uid="lost")
    story.tell("scheduler", "bound", uid="u1", key="Pod default/web", detail="node-1")
    story.tell("kubelet", "started", uid="u1", key="Pod default/web")
    story.tell("kubelet", "started", uid="u2")
    assert len(story) == 3
    assert story.of("lost") == []
    assert story.text("u1").splitlines() == [
        "12.000 #2 scheduler Pod default/web bound: node-1",
        "12.000 #3 kubelet Pod default/web started",
    ]
    assert [line.uid for line in story.by("kubelet")] == ["u1", "u2"]
