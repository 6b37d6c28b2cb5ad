"""get and list.

A get is the stored bytes; a list is a join of them, taken at one revision. Owns consistency, pages and their tokens.
"""

from __future__ import annotations

from kube_actors.api import errors
from kube_actors.api.messages import Answer
from kube_actors.apiserver import encoding, revisions, segments
from kube_actors.apiserver.core import Call, warning_headers
from kube_actors.apiserver.selection import Selection, selection_of
from kube_actors.store.contract import Compacted, Entry, FutureRevision, Page
from kube_actors.store.local import LocalStore


async def get(call: Call) -> Answer:
    """The object as stored."""
    wanted = call.options.resource_version
    if wanted:
        revision = revisions.parse(wanted)
        if revision is None:
            raise errors.server_failure(str(revisions.bad_revision(wanted)))
        check_not_future(call, revision)
    entry = await find(call)
    return call.answer(call.kind.load(entry.value))


async def find(call: Call) -> Entry:
    """The call's object; 404 when there is none."""
    entry = await call.core.store.get(call.key)
    if entry is None:
        raise errors.not_found(call.kind.resource, call.name)
    return entry


def check_not_future(call: Call, revision: int) -> None:
    """504 for a revision still to come, as kube-apiserver's cache answers when it has waited long enough."""
    current = call.core.store.revision
    if revision > current:
        raise errors.too_large(revision, current)


async def list_(call: Call) -> Answer:
    """A list, or a page of one."""
    options = call.options
    revisions.check_options(options, watch=False)
    selection = selection_of(call)
    prefix = call.kind.list_prefix(selection.namespace or call.namespace)
    if selection.nothing(call.namespace):
        nothing: dict[str, object] = {"continue": ""} if call.kind.resource.custom else {}
        return call.answer(_encode(call, [], {**nothing, "resourceVersion": str(call.core.store.revision)}))
    revision, after, limit = _plan(call)
    page = await read_page(call, prefix, revision, after, limit, selection)
    metadata: dict[str, object] = {"resourceVersion": str(page.revision)}
    if call.kind.resource.custom:
        metadata["continue"] = ""
    if page.more:
        metadata["continue"] = revisions.encode_token(page.revision, page.entries[-1].key[len(prefix) :])
        if not selection:
            metadata["remainingItemCount"] = page.remaining
    if call.request.pieces and not selection and len(page.entries) >= segments.LONG and _keeps_entries(call):
        return _in_pieces(call, page, metadata)
    return call.answer(_encode(call, list(page.entries), metadata))


def _keeps_entries(call: Call) -> bool:
    """Whether a list of unchanged objects consists of the very same entries, in the form in which they are shown."""
    return isinstance(call.core.store, LocalStore) and not call.kind.resource.custom and not call.kind.converts


def _in_pieces(call: Call, page: Page, metadata: dict[str, object]) -> Answer:
    kind = call.kind
    front, back = encoding.around(kind.resource.list_kind, kind.resource.api_version, metadata)
    pieces = call.core.segments.pieces(page.entries, kind.item_head)
    return Answer(headers=warning_headers(call.warnings), pieces=(front, *pieces, back))


def _encode(call: Call, entries: list[Entry], metadata: dict[str, object]) -> bytes:
    kind = call.kind
    resource = kind.resource
    as_stored = not kind.converts and not resource.custom
    values = [entry.value if as_stored else kind.load(entry.value) for entry in entries]
    return encoding.listing(resource.list_kind, resource.api_version, metadata, kind.item_head, values)


def _plan(call: Call) -> tuple[int, str, int]:
    """Revision to read at (0: the newest), where to go on, and how many."""
    options = call.options
    limit = max(options.limit, 0)
    if options.continue_:
        if options.resource_version not in ("", "0"):
            raise errors.bad_request("specifying resource version is not allowed when using continue")
        token = revisions.decode_token(options.continue_)
        return max(token.rv, 0), token.start, limit
    revision = revisions.parse(options.resource_version)
    if revision is None:
        problem = revisions.bad_revision(options.resource_version)
        raise errors.bad_request(f"invalid resource version: {problem}")
    if revision:
        check_not_future(call, revision)
    exact = options.resource_version_match == "Exact" or (
        bool(revision) and bool(limit) and not options.resource_version_match
    )
    # kube-apiserver answers resourceVersion=0 from its cache, which does not page.
    return revision if exact else 0, "", 0 if options.resource_version == "0" else limit


async def read_page(call: Call, prefix: str, revision: int, after: str, limit: int, selection: Selection) -> Page:
    """Entries that match, up to limit, at one revision. A token's key that ends in NUL means "behind that key"."""
    store = call.core.store
    start = prefix + after.removesuffix("\x00") if after else ""
    try:
        if not selection:
            return await store.list(prefix, revision=revision, after=start, limit=limit)
        found: list[Entry] = []
        while True:
            page = await store.list(prefix, revision=revision, after=start, limit=limit and limit + 1)
            revision = page.revision
            for entry in page.entries:
                if selection.matches(call.core.facets.get(call.kind, entry.modified, entry.value)):
                    found.append(entry)
            if limit and len(found) > limit:
                return Page(found[:limit], revision, True, 0)
            if not page.more:
                return Page(found, revision, False, 0)
            start = page.entries[-1].key
    except Compacted as gone:
        raise await _expired(call, gone, prefix, after) from None
    except FutureRevision as ahead:
        raise errors.too_large(ahead.revision, ahead.current) from None


async def _expired(call: Call, gone: Compacted, prefix: str, after: str) -> errors.ApiError:
    """410; for a page of a list, with a token that goes on inconsistently at the newest revision."""
    if not after:
        return errors.too_old(gone.revision, gone.oldest)
    token = revisions.encode_token(-1, after.removesuffix("\x00"))
    return errors.expired(
        "The provided continue parameter is too old to display a consistent list result. You can start a new list "
        "without the continue parameter, or use the continue token in this response to retrieve the remainder of the "
        "results. Continuing with the provided token results in an inconsistent list - objects that were created, "
        "modified, or deleted between the time the first chunk was returned and now may show up in the list.",
        token,
    )
