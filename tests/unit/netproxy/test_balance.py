"""The balancer: fair rotation, affinity and its end, and the choice after failures."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from netproxy import limits
from netproxy.balance import Balancer
from netproxy.contract import Backend

POOL = tuple(Backend("10.0.0.1", port) for port in range(8))
backends = st.lists(st.sampled_from(POOL), unique=True, max_size=8).map(tuple)
clients = st.sampled_from(["a", "b", "c", "d"])


@given(backends.filter(bool), st.integers(1, 5))
def test_every_backend_gets_the_same_share(some, rounds):
    balancer = Balancer(some)
    chosen = [balancer.choose("x", 0) for _ in range(len(some) * rounds)]
    assert all(chosen.count(backend) == rounds for backend in some)


@given(backends, clients)
def test_trying_again_visits_each_backend_once_and_then_gives_up(some, client):
    balancer = Balancer(some, affinity_seconds=10)
    tried: list[Backend] = []
    while (backend := balancer.choose(client, 0, tried)) is not None:
        assert backend not in tried
        tried.append(backend)
    assert len(tried) == min(len(some), limits.CONNECT_ATTEMPTS)


@given(backends.filter(bool), st.lists(clients))
def test_an_affine_client_stays_until_it_was_silent_too_long(some, others):
    balancer = Balancer(some, affinity_seconds=10)
    first = balancer.choose("x", 0.0)
    for at, other in enumerate(others):
        balancer.choose(other, at / (len(others) + 1))
    assert balancer.choose("x", 9.9) == first
    assert balancer.choose("x", 19.8) == first  # a use renews it
    balancer.choose("y", 29.9)
    assert balancer.clients == 1  # only y: the rest is forgotten


def test_affinity_moves_with_a_failed_backend():
    one, two = POOL[:2]
    balancer = Balancer((one, two), affinity_seconds=10)
    first = balancer.choose("x", 0)
    second = balancer.choose("x", 0, [first])
    assert {first, second} == {one, two}
    assert balancer.choose("x", 1) == second


def test_a_removed_backend_is_never_chosen_and_the_rotation_goes_on():
    one, two, three = POOL[:3]
    balancer = Balancer((one, two, three))
    assert balancer.choose("x", 0) == one
    assert balancer.update((one, three), None) == {two}
    assert [balancer.choose("x", 0) for _ in range(3)] == [three, one, three]


def test_the_memory_of_clients_is_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "AFFINITY_CLIENTS", 3)
    balancer = Balancer(POOL, affinity_seconds=10)
    for client in "abcde":
        balancer.choose(client, 0)
    assert balancer.clients == 3
    balancer.check()


class BalancerMachine(RuleBasedStateMachine):
    """Against a model that remembers everything."""

    def __init__(self) -> None:
        super().__init__()
        self.balancer = Balancer((), 10)
        self.backends: tuple[Backend, ...] = ()
        self.now = 0.0
        self.model: dict[str, tuple[Backend, float]] = {}

    @rule(some=backends)
    def update(self, some):
        removed = self.balancer.update(some, 10)
        assert removed == set(self.backends) - set(some)
        self.backends = some

    @rule(seconds=st.floats(0, 15))
    def wait(self, seconds):
        self.now += seconds

    @rule(client=clients)
    def choose(self, client):
        chosen = self.balancer.choose(client, self.now)
        known, used = self.model.get(client, (None, 0.0))
        if known in self.backends and used + 10 > self.now:
            assert chosen == known
        assert (chosen is None) == (not self.backends)
        assert chosen is None or chosen in self.backends
        if chosen is not None:
            self.model[client] = (chosen, self.now)

    @invariant()
    def holds(self):
        self.balancer.check()


TestBalancerMachine = BalancerMachine.TestCase
