"""A sorted set of keys that stays fast at 100,000 of them.

Owns the order of keys and nothing else: no values, no revisions. Keys sit in short sorted chunks, so that adding one
moves a few hundred pointers at most, and counting a range adds up chunk lengths.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator

CHUNK = 512
"""Keys in a chunk after a load or a split; a chunk splits at twice as many."""

_HIGHEST = chr(0x10FFFF)


def prefix_end(prefix: str) -> str | None:
    """The smallest text greater than everything that begins with `prefix`; None if there is none."""
    stem = prefix.rstrip(_HIGHEST)
    return stem[:-1] + chr(ord(stem[-1]) + 1) if stem else None


class SortedKeys:
    """Distinct keys in code point order. Callers add only what is absent and remove only what is present."""

    __slots__ = ("_chunks", "_lasts", "_size")

    def __init__(self, keys: Iterable[str] = ()) -> None:
        ordered = sorted(keys)
        self._chunks = [ordered[at : at + CHUNK] for at in range(0, len(ordered), CHUNK)]
        self._lasts = [chunk[-1] for chunk in self._chunks]
        self._size = len(ordered)

    def __len__(self) -> int:
        return self._size

    def add(self, key: str) -> None:
        self._size += 1
        if not self._chunks:
            self._chunks.append([key])
            self._lasts.append(key)
            return
        at = min(bisect_left(self._lasts, key), len(self._chunks) - 1)
        chunk = self._chunks[at]
        insort(chunk, key)
        if len(chunk) >= 2 * CHUNK:
            self._chunks[at : at + 1] = [chunk[:CHUNK], chunk[CHUNK:]]
            self._lasts[at : at + 1] = [chunk[CHUNK - 1], chunk[-1]]
        else:
            self._lasts[at] = chunk[-1]

    def remove(self, key: str) -> None:
        at = bisect_left(self._lasts, key)
        assert at < len(self._chunks), f"{key!r} is not in the set"
        chunk = self._chunks[at]
        place = bisect_left(chunk, key)
        assert chunk[place] == key, f"{key!r} is not in the set"
        del chunk[place]
        self._size -= 1
        if chunk:
            self._lasts[at] = chunk[-1]
        else:
            del self._chunks[at], self._lasts[at]

    def count(self, prefix: str, after: str = "") -> int:
        """How many keys begin with `prefix` and are greater than `after`."""
        (first, begin), (last, end) = self._bounds(prefix, after)
        return sum(map(len, self._chunks[first:last])) - begin + end

    def take(self, prefix: str, after: str = "", limit: int = 0) -> list[str]:
        """The first `limit` keys (0: all) that begin with `prefix` and are greater than `after`."""
        found: list[str] = []
        for part in self._parts(prefix, after):
            found += part
            if limit and len(found) >= limit:
                del found[limit:]
                break
        return found

    def walk(self, prefix: str, after: str = "") -> Iterator[str]:
        for part in self._parts(prefix, after):
            yield from part

    def _parts(self, prefix: str, after: str) -> Iterator[list[str]]:
        (first, begin), (last, end) = self._bounds(prefix, after)
        for at in range(first, min(last + 1, len(self._chunks))):
            chunk = self._chunks[at]
            yield chunk[begin if at == first else 0 : end if at == last else len(chunk)]

    def _bounds(self, prefix: str, after: str) -> tuple[tuple[int, int], tuple[int, int]]:
        begin = self._place(after, beyond=True) if after >= prefix else self._place(prefix, beyond=False)
        stop = prefix_end(prefix)
        end = (len(self._chunks), 0) if stop is None else self._place(stop, beyond=False)
        return min(begin, end), end

    def _place(self, key: str, beyond: bool) -> tuple[int, int]:
        """Chunk and offset of the first key not less than `key` (with `beyond`: greater than it)."""
        bisect = bisect_right if beyond else bisect_left
        at = bisect(self._lasts, key)
        if at == len(self._chunks):
            return at, 0
        return at, bisect(self._chunks[at], key)
