"""docs/one-pod.svg: one pod's way through the components, as a cluster in virtual time really sent it.

Rows are what was asked about the pod (and the creation of its owners), each with who heard of it then, and the stages
that its node told in the story. Who of several hears first is chance, so a row shows them all at once; names that a
cluster makes up are left out.
"""

from __future__ import annotations

from collections import Counter

from msgspec import Struct

from .svg import Sheet
from .watched import YOU, Message, run

WIDTH, MARGIN, TIME, TOP, ROW = 960, 24, 62, 118, 40
OWNERS = ("deployments", "replicasets")
WORDS = {"deployments": "Deployment", "replicasets": "ReplicaSet", "pods": "Pod"}


INTRODUCTION = (
    "A Deployment of one replica is created, and half a minute later deleted. Requests are blue;",
    "below each, the watch event that it led to and who was told. Boxes are the node's story.",
)
COLUMNS = ("you", "API server", "controllers", "scheduler", "kubelet")
USERS = {
    YOU: "you",
    "system:kube-controller-manager": "controllers",
    "system:kube-scheduler": "scheduler",
    "system:node:node-0": "kubelet",
    "node-0": "kubelet",
    "kubernetes-admin": "kubelet",
}
"""Who speaks, to column. The nodes of one process share a watch, as an administrator."""


def column_of(who: str) -> int | None:
    return COLUMNS.index(USERS[who]) if who in USERS else None


class Row(Struct, frozen=True):
    """One line of the picture. server: an arrow to the API server; heard: columns that were told of the change."""

    at: float
    who: int
    words: str
    server: bool
    event: str = ""
    heard: tuple[int, ...] = ()


def rows_of(messages: list[Message]) -> list[Row]:
    start = messages[0].at
    rows = []
    for place, message in enumerate(messages):
        who, words = column_of(message.who), _words(message)
        if who is None or not words:
            continue
        at = message.at - start
        if message.kind == "does":
            rows.append(Row(at, who, words, False))
        else:
            event, heard = _heard(messages, place)
            rows.append(Row(at, who, words, True, event, heard))
    return rows


def _words(message: Message) -> str:
    """What a row says; "": it is not about this pod."""
    if message.kind == "does":
        return message.verb if message.who == "node-0" and "Pod " in message.body.get("key", "") else ""
    kind, _, part = message.resource.partition("/")
    if message.kind != "asks" or kind not in WORDS:
        return ""
    if kind in OWNERS and message.verb not in ("create", "delete"):
        return ""
    if part == "binding":
        return "bind to node-0"
    return " ".join(filter(None, (message.verb, WORDS[kind], part)))


def _heard(messages: list[Message], place: int) -> tuple[str, tuple[int, ...]]:
    """The event that a request led to, and the columns that it reached."""
    request = messages[place]
    kind = request.resource.partition("/")[0]
    told = [each for each in messages[place:] if each.kind == "hears" and each.resource == kind]
    claimed = {each.revision for each in messages if each.kind == "asks"}
    # An answer that holds no object names no revision; the event is then the next one that no other request claims.
    unclaimed = (each.revision for each in told if each.revision not in claimed and each.at == request.at)
    revision = request.revision or next(unclaimed, 0)
    told = [each for each in told if each.revision == revision]
    columns = {column_of(each.who) for each in told} - {None, 0}
    verbs = Counter(each.verb for each in told)
    # Whose selector a pod no longer matches is told DELETED; the event's name is what the most are told.
    event = f"{verbs.most_common(1)[0][0]} {WORDS[kind]}" if told else ""
    return event, tuple(sorted(each for each in columns if each is not None))


def draw() -> str:
    rows = rows_of(run())
    height = TOP + 30 + sum(ROW if row.server else 28 for row in rows) + MARGIN
    sheet = Sheet(WIDTH, height, "One pod, followed", "a cluster in virtual time (scripts/drawing/watched.py)")
    sheet.text(MARGIN, 34, "One pod, followed", "title")
    sheet.text(
        MARGIN,
        56,
        "A Deployment of one replica is created, and half a minute later deleted. Requests are blue;",
        "note",
    )
    sheet.text(
        MARGIN, 74, "below each, the watch event that it led to and who was told. Boxes are the node's story.", "note"
    )
    for place, name in enumerate(COLUMNS):
        x = _x(place)
        sheet.path([(x, TOP), (x, height - MARGIN)], "life")
        sheet.box(x - 62, TOP - 30, 124, 30)
        sheet.text(x, TOP - 10, name, "name", "middle")
    y, shown = TOP + 30, ""
    for row in rows:
        time = f"{row.at:.2f} s"
        if time != shown:
            sheet.text(MARGIN, y + 4, time, "note")
        shown = time
        _draw_row(sheet, row, y)
        y += ROW if row.server else 28
    return sheet.render()


def _x(column: int) -> int:
    return MARGIN + TIME + 66 + column * (WIDTH - 2 * MARGIN - TIME - 132) // (len(COLUMNS) - 1)


def _draw_row(sheet: Sheet, row: Row, y: int) -> None:
    x, server = _x(row.who), _x(COLUMNS.index("API server"))
    if not row.server:
        sheet.box(x - 50, y - 11, 100, 22)
        sheet.text(x, y + 5, row.words, "stage", "middle")
        return
    right = server > x
    sheet.path([(x, y), (server + (-8 if right else 8), y)], "blue")
    sheet.tip(server, y, "right" if right else "left", "bluetip")
    sheet.text(x + (8 if right else -8), y - 5, row.words, "label", "start" if right else "end")
    for column in row.heard:
        to = _x(column)
        sheet.path([(server, y + 14), (to + (-8 if to > server else 8), y + 14)], "dashed")
        sheet.tip(to, y + 14, "right" if to > server else "left")
    if row.heard:
        sheet.text(server - 10, y + 19, row.event, "note", "end")
