"""Tiers: what a host can do, why not more, and the simulated tier's answers."""

import sys

import pytest
import trio

from netproxy import addresses
from netproxy.addresses import detect, obstacle_of, open_proxy, reserve_loopback_range
from netproxy.contract import AddressInUse, Backend, Frontend, Route, Table, TierUnavailable

ONE, TWO = Backend("10.244.0.5", 80), Backend("10.244.1.5", 80)
FRONTEND = Frontend("10.96.0.10", 80)


def test_the_best_possible_tier_is_detected_with_reasons():
    detected = detect()
    assert obstacle_of(detected.tier) is None
    assert len(detected.why_not) == ["host", "loopback", "simulated"].index(detected.tier)


def test_without_net_admin_the_loopback_tier_is_left(monkeypatch):
    monkeypatch.setattr(addresses, "_has_net_admin", lambda: False)
    detected = detect()
    assert detected.tier == "loopback"
    assert "CAP_NET_ADMIN" in str(detected.why_not[0])


def test_other_systems_get_the_simulated_tier(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    detected = detect()
    assert detected.tier == "simulated"
    assert [obstacle.tier for obstacle in detected.why_not] == ["host", "loopback"]


@pytest.mark.parametrize(
    ("tier", "network", "reason"),
    [
        ("loopback", "10.96.0.0/16", "not within 127.0.0.0/8"),
        ("loopback", "fd00::/64", "not within 127.0.0.0/8"),
        ("simulated", "10.96.0.1/16", "host bits"),
    ],
)
async def test_a_range_that_does_not_suit_the_tier(tier, network, reason):
    with pytest.raises(TierUnavailable, match=reason):
        async with open_proxy(tier, network):
            pass


def test_reserved_slices_are_different_and_free_again_when_closed():
    first, second = reserve_loopback_range(), reserve_loopback_range()
    assert first.network != second.network
    first.close()
    third = reserve_loopback_range()
    assert third.network == first.network
    second.close()
    third.close()


async def test_the_simulated_tier_answers_where_a_connection_goes(autojump_clock):
    async with open_proxy("simulated", "10.96.0.0/16") as proxy:
        await proxy.apply(Table((Route("web", (FRONTEND,), (ONE, TWO)),)))
        assert [proxy.resolve(FRONTEND, "a") for _ in range(3)] == [ONE, TWO, ONE]
        assert proxy.resolve(FRONTEND, "a", (TWO,)) == ONE
        assert proxy.resolve(Frontend("10.96.0.11", 80), "a") is None
        await proxy.apply(Table((Route("web", (FRONTEND,), (ONE, TWO), 30),)))
        affine = proxy.resolve(FRONTEND, "a")
        assert {proxy.resolve(FRONTEND, "a") for _ in range(5)} == {affine}
        await trio.sleep(31)
        assert proxy.resolve(FRONTEND, "a") != affine
        await proxy.apply(Table())
        assert proxy.resolve(FRONTEND, "a") is None


async def test_the_simulated_tier_reports_a_frontend_claimed_twice():
    async with open_proxy("simulated", "10.96.0.0/16") as proxy:
        first, second = Route("first", (FRONTEND,), (ONE,)), Route("second", (FRONTEND,), (TWO,))
        (failure,) = await proxy.apply(Table((first, second)))
        assert failure.route == "second" and isinstance(failure.error, AddressInUse)
        assert proxy.resolve(FRONTEND, "a") == ONE
        assert await proxy.apply(Table((second,))) == ()
        assert proxy.resolve(FRONTEND, "a") == TWO
