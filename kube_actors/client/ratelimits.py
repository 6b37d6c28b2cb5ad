"""How long something has to wait: per-item exponential back-off, and token buckets.

Pure: the time is an argument, waiting is the caller's.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, Protocol, TypeVar

from . import limits

K = TypeVar("K", bound=Hashable)
K_contra = TypeVar("K_contra", bound=Hashable, contravariant=True)


class RateLimiter(Protocol[K_contra]):
    """Decides how long a key waits before it is tried again."""

    def delay(self, key: K_contra, now: float) -> float:
        """Seconds that key has to wait; counts as one more failure."""
        ...

    def forget(self, key: K_contra) -> None:
        """The key did well: its next failure is its first."""
        ...

    def failures(self, key: K_contra) -> int: ...


class ItemBackoff(Generic[K]):
    """A pause that doubles with each failure of the same key."""

    def __init__(
        self, base: float = limits.ITEM_BACKOFF_BASE_SECONDS, maximum: float = limits.ITEM_BACKOFF_MAX_SECONDS
    ) -> None:
        self._base = base
        self._maximum = maximum
        self._failures: dict[K, int] = {}

    def delay(self, key: K, now: float) -> float:
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        # 2.0 ** 1024 overflows; long before that the maximum rules.
        return min(self._base * 2.0 ** min(failures, 64), self._maximum)

    def forget(self, key: K) -> None:
        self._failures.pop(key, None)

    def failures(self, key: K) -> int:
        return self._failures.get(key, 0)


class TokenBucket:
    """At most `burst` at once and `rate` a second in the long run."""

    def __init__(self, rate: float, burst: int) -> None:
        if rate <= 0 or burst < 1:
            raise ValueError(f"a token bucket needs a positive rate and burst, not {rate} and {burst}")
        self._rate = rate
        self._burst = float(burst)
        self._tokens = float(burst)
        self._at: float | None = None

    def _refill(self, now: float) -> None:
        if self._at is None or now > self._at:
            passed = 0.0 if self._at is None else now - self._at
            self._tokens = min(self._burst, self._tokens + passed * self._rate)
            self._at = now

    def try_take(self, now: float) -> bool:
        """Take a token if one is there."""
        self._refill(now)
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True

    def reserve(self, now: float) -> float:
        """Take a token that may only come into being later; seconds until then."""
        self._refill(now)
        self._tokens -= 1.0
        return max(0.0, -self._tokens / self._rate)


class LimitedBackoff(Generic[K]):
    """Per-item back-off under one bucket for all items: whichever asks for the longer wait."""

    def __init__(self, items: ItemBackoff[K], bucket: TokenBucket) -> None:
        self._items = items
        self._bucket = bucket

    def delay(self, key: K, now: float) -> float:
        return max(self._items.delay(key, now), self._bucket.reserve(now))

    def forget(self, key: K) -> None:
        self._items.forget(key)

    def failures(self, key: K) -> int:
        return self._items.failures(key)
