"""Moments as Kubernetes writes them: RFC 3339 in UTC, to the second or the microsecond. Pure."""

from __future__ import annotations

from datetime import UTC, datetime


def rfc3339(at: float) -> str:
    """Unix seconds as a Time: 2026-01-01T00:00:00Z."""
    return datetime.fromtimestamp(int(at // 1), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def rfc3339_micro(at: float) -> str:
    """Unix seconds as a MicroTime: 2026-01-01T00:00:00.000000Z."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def unix_seconds(text: str) -> float:
    """The moment of a Time or MicroTime; ValueError when it is neither."""
    return datetime.fromisoformat(text).timestamp()
