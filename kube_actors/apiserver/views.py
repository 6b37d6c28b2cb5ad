"""Finished bodies and watch events in the form that the client asked for. Pure.

Nothing happens to what is asked for as it is: those bytes go out as the store has them. Tables, bare metadata, YAML
and indented JSON are made here, one body or event at a time. A Status is never turned into anything else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from kube_actors.api import errors, manifests, messages
from kube_actors.api.messages import WatchEvent
from kube_actors.apiserver.negotiation import View
from kube_actors.apiserver.tables import Include, partial_list_of, partial_of, table_of
from kube_actors.apiserver.tables.printer import Printer

_encode = msgspec.json.encode
_INCLUDES: dict[str, Include] = {"": "Metadata", "Metadata": "Metadata", "None": "None", "Object": "Object"}

PrinterFor = Callable[[str, str], Printer | None]
"""The printer of a kind that is not built in, by apiVersion and kind."""


def include_of(text: str) -> Include:
    """The includeObject parameter; raises a 400."""
    found = _INCLUDES.get(text)
    if found is None:
        supported = '["", "Metadata", "None", "Object"]'
        raise errors.bad_request(f'unrecognized includeObject value: "{text}", supported values: {supported}')
    return found


def no_printer(api_version: str, kind: str) -> Printer | None:
    """There are no kinds but the built-in ones."""
    found: Printer | None = None
    return found


def shown(body: bytes, view: View, now: float, include: Include, printer_for: PrinterFor = no_printer) -> bytes:
    """A body as the view wants it, still JSON unless the view says YAML."""
    if view.transform:
        value = msgspec.json.decode(body)
        changed = transformed(value, view, now, include, printer_for)
        if changed is not value:
            body = _encode(changed) + b"\n"
    if view.media_type == messages.YAML:
        return manifests.dump_yaml(msgspec.json.decode(body)).encode()
    return body


def pretty(body: bytes) -> bytes:
    """JSON for people; anything else stays as it is."""
    try:
        return msgspec.json.format(body, indent=2) + b"\n"
    except msgspec.DecodeError:
        return body


def transformed(
    value: dict[str, Any],
    view: View,
    now: float,
    include: Include,
    printer_for: PrinterFor = no_printer,
    *,
    columns: bool = True,
) -> dict[str, Any]:
    """An object or list as a Table or as bare metadata; raises a 406 where an object is asked of a list."""
    if value.get("kind") == "Status" and value.get("apiVersion") == "v1":
        return value
    if str(value.get("apiVersion", "")).startswith("meta.k8s.io/"):
        return value  # another server has made it so already
    if view.transform == "Table":
        printer = printer_for(value.get("apiVersion", ""), value.get("kind", "").removesuffix("List"))
        return table_of(value, now, include=include, api_version=view.api_version, printer=printer, columns=columns)
    listed = "items" in value
    if view.transform == "PartialObjectMetadata":
        if listed:
            raise _not_acceptable("you requested PartialObjectMetadata, but the requested object is a list")
        return partial_of(value, view.api_version)
    if not listed:
        raise _no_list()
    return partial_list_of(value, view.api_version)


def check_listed(view: View, verb: str) -> None:
    """A 406 for a list that a single object is to be shown as, before anything is written."""
    if view.transform == "PartialObjectMetadataList" and verb in ("create", "update", "patch"):
        raise _no_list()


def _no_list() -> errors.ApiError:
    return _not_acceptable("you requested PartialObjectMetadataList, but the requested object is not a list")


def _not_acceptable(message: str) -> errors.ApiError:
    return errors.ApiError(errors.Status(message=message, reason="NotAcceptable", code=406))


class _Last:
    """The event that was written last, and its line: a thousand watchers of a kind write the same one."""

    pair: tuple[WatchEvent | None, bytes] = (None, b"")  # one value, since clusters may run in several threads


def _line(event: WatchEvent) -> bytes:
    known, line = _Last.pair
    if event is not known:
        line = event.line()
        _Last.pair = (event, line)
    return line


class EventView:
    """The events of one watch in the wanted form. A Table names its columns in the first event only."""

    def __init__(self, view: View, include: Include, now: Callable[[], float], printer_for: PrinterFor) -> None:
        self._view = view
        self._include = include
        self._now = now
        self._printer_for = printer_for
        self._columns = True

    def line(self, event: WatchEvent) -> bytes:
        """One event as a line of the body."""
        if not self._view.transform or event.type == "ERROR":
            return _line(event)
        value = msgspec.json.decode(event.object)
        changed = transformed(value, self._view, self._now(), self._include, self._printer_for, columns=self._columns)
        self._columns = False
        return WatchEvent(event.type, _encode(changed), event.revision).line()
