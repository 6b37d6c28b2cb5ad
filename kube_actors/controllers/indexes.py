"""The completion indexes of an Indexed Job, as sorted intervals, and the text that its status writes them in.

Pure; work grows with the number of intervals, never with the number of completions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kube_actors.api.types.core_v1 import Pod

INDEX = "batch.kubernetes.io/job-completion-index"
"""Annotation and label of a pod."""

Intervals = tuple[tuple[int, int], ...]
"""First and last index of each run, in order, none touching the next."""


def parse(text: str | None, completions: int) -> Intervals:
    """What "0,2-4,7" says of indexes below completions; nonsense in it is passed over."""
    found: list[tuple[int, int]] = []
    for part in text.split(",") if text else ():
        begin, dash, end = part.partition("-")
        if not begin.isdigit() or (dash and not end.isdigit()):
            continue
        first = int(begin)
        if first >= completions:
            break
        last = min(int(end), completions - 1) if dash else first
        if found and found[-1][1] == first - 1:
            found[-1] = (found[-1][0], last)
        else:
            found.append((first, last))
    return tuple(found)


def text_of(intervals: Intervals) -> str:
    """Two neighbours are written one by one, three and more as a range."""
    parts: list[str] = []
    for first, last in intervals:
        if last > first + 1:
            parts.append(f"{first}-{last}")
        else:
            parts += [str(index) for index in range(first, last + 1)]
    return ",".join(parts)


def merge(one: Intervals, other: Intervals) -> Intervals:
    """All indexes of both."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted((*one, *other)):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return tuple(merged)


def single(numbers: Iterable[int]) -> Intervals:
    return merge(tuple((number, number) for number in numbers), ())


def total(intervals: Intervals) -> int:
    return sum(last - first + 1 for first, last in intervals)


def has(intervals: Intervals, index: int) -> bool:
    return any(first <= index <= last for first, last in intervals)


def overlap(one: Intervals, other: Intervals) -> int:
    """How many indexes are in both."""
    count = mine = theirs = 0
    while mine < len(one) and theirs < len(other):
        (first, last), (begin, end) = one[mine], other[theirs]
        count += max(0, min(last, end) - max(first, begin) + 1)
        if last <= end:
            mine += 1
        if end <= last:
            theirs += 1
    return count


def first_missing(taken: Intervals, count: int, completions: int) -> list[int]:
    """The lowest `count` indexes below completions that are not taken."""
    found: list[int] = []
    candidate = 0
    for first, last in (*taken, (completions, completions)):
        while candidate < min(first, completions) and len(found) < count:
            found.append(candidate)
            candidate += 1
        candidate = max(candidate, last + 1)
    return found


def index_of(pod: Pod) -> int | None:
    """A pod's completion index; None when it has none."""
    return _number(pod.metadata.annotations, INDEX)


def count_of(pod: Pod, annotation: str) -> int:
    """The count in an annotation; 0 when there is none or somebody wrote nonsense."""
    number = _number(pod.metadata.annotations, annotation)
    return 0 if number is None or number >= 2**31 else number


def _number(annotations: Mapping[str, str], key: str) -> int | None:
    text = annotations.get(key, "").removeprefix("+")
    return int(text) if text.isascii() and text.isdigit() else None
