"""The only place that makes random numbers and identities.

With a seed, the same calls in the same order give the same values; that is what makes a cluster replayable. Without
one, identities come from the operating system. Never use the seeded form for keys and tokens of a real cluster.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

NAME_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
"""Letters of generated names: no vowels and no look-alikes, so that no word is spelt (apimachinery, util/rand)."""


_VERSION_4 = (4 << 76) | (8 << 60)
_NOT_VERSION_OR_VARIANT = ~((0xF << 76) | (0xC << 60))


class Entropy:
    """A source of randomness; an input of everything that draws, shuffles or names."""

    def __init__(self, seed: int | str | None = None) -> None:
        self.seeded = seed is not None
        # SystemRandom would cost a system call a number; names and jitter need no secrecy, tokens use `token`.
        self._random = random.Random(seed if seed is not None else secrets.randbits(128))

    def uuid(self) -> str:
        """A version 4 UUID in its usual text form."""
        bits = self._random.getrandbits(128) & _NOT_VERSION_OR_VARIANT | _VERSION_4
        text = f"{bits:032x}"  # as str(uuid.UUID(...)), which takes four times as long
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def suffix(self, length: int = 5) -> str:
        """The random end of a generated name."""
        # As random.choices draws, in half its time.
        draw, count = self._random.random, float(len(NAME_ALPHABET))
        return "".join([NAME_ALPHABET[int(draw() * count)] for _ in range(length)])

    def random(self) -> float:
        """A float in [0, 1)."""
        return self._random.random()

    def jitter(self, base: float, factor: float) -> float:
        """A value in [base, base * (1 + factor))."""
        return base * (1.0 + factor * self._random.random())

    def choice(self, items: Sequence[T]) -> T:
        return self._random.choice(items)

    def integer(self, low: int, high: int) -> int:
        """An integer with low <= n <= high."""
        return self._random.randint(low, high)

    def token(self, size: int = 32) -> str:
        """A URL-safe secret of `size` random bytes; from the operating system unless seeded."""
        return self._random.randbytes(size).hex() if self.seeded else secrets.token_urlsafe(size)

    def secret_bytes(self, size: int) -> bytes:
        """Bytes that nobody can guess; from the operating system unless seeded."""
        return self._random.randbytes(size) if self.seeded else secrets.token_bytes(size)

    def serial(self) -> int:
        """A positive certificate serial number of at most 159 bits (RFC 5280)."""
        return (self._random.getrandbits(158) if self.seeded else secrets.randbits(158)) | 1

    def split(self, label: str) -> Entropy:
        """A source of its own for one actor, so that actors do not disturb each other's draws."""
        return Entropy(f"{self._random.getrandbits(64)}/{label}") if self.seeded else Entropy()
