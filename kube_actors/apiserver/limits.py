"""Named limits of the API server."""

BODY_BYTES = 3 * 1024 * 1024
"""Largest request body, as kube-apiserver has it; the HTTP face stops reading there."""

BODY_DEPTH = 64
"""Deepest nesting of a JSON or YAML body; CustomResourceDefinitions nest deepest and stay far below."""

MAILBOX = 4096
"""Requests over the channel that wait for the server."""

WATCH_EVENTS = 4096
"""Live events that one watch holds for its reader before it is closed with 410."""

DELIVERED_EVENTS = 64
"""Events of one watch that are delivered at once, without its own task; more are its own to send."""

WATCH_TIMEOUT_SECONDS = 1800
"""Shortest life of a watch that names no timeout; a random part of the same length is added."""

BOOKMARK_SECONDS = 60.0
"""Time between two bookmarks of a watch that asked for them."""

FACETS = 16_384
"""Decoded labels and selectable fields kept, one entry a stored revision."""

PATCH_OPERATIONS = 10_000
"""Operations of one JSON patch, as kube-apiserver has it."""

PATCH_RETRIES = 5
"""Attempts of a patch whose object changes under it."""

UPDATE_RETRIES = 16
"""Attempts of an unconditional update or a delete whose object changes under it."""

KNOWN_SPECS = 256
"""Specs of one kind whose fields are remembered for the next object made from the same template."""

KNOWN_SPEC_BYTES = (200, 8192)
"""Shortest and longest encoded spec that is remembered so."""

ADMISSION_PLANS = 1024
"""Resources of which it is remembered which admission steps have to do with them."""

MOLDS = 256
"""Molds of one server, one a body that came more than once but for its name."""

MOLD_CANDIDATES = 4096
"""Bodies that came once, of which a mark is kept."""

MOLDED_BYTES = 16 * 1024
"""Longest body that is made into a mold."""

FIELD_MANAGER_BYTES = 128
"""Longest name of a field manager."""

NAME_ATTEMPTS = 8
"""Names drawn for one generateName before AlreadyExists is answered."""

ALLOCATION_ATTEMPTS = 64
"""Random draws of an address or port before the range is searched in order."""

COMPACTION_SECONDS = 300.0
"""History older than this is compacted, as kube-apiserver does for etcd."""

ANNOTATIONS_BYTES = 256 * 1024
"""Annotations of one object, keys and values together."""

DATA_BYTES = 1024 * 1024
"""Data of one ConfigMap or Secret."""

SEARCHED_ADDRESSES = 1 << 17
"""Addresses of one range that are looked at in turn when chance finds none; ranges of IPv6 are larger."""

DECISIONS = 8192
"""Answers of the RBAC authorizer that are remembered until a role or binding changes."""

PROXY_WHOLE_BYTES = 1024 * 1024
"""A back end's answer up to this is passed on in one piece, and its links are rewritten; a longer one streams."""

POD_REFERENCES = 16_384
"""Pods of which the node authorizer remembers what they refer to."""

SEATS = 600
"""Requests over HTTP that are served at a time, over all limited levels, as kube-apiserver's two limits allow."""

SEAT_WAIT_SECONDS = 15.0
"""How long a request waits in a queue for its seat."""

AUDIT_BODY_BYTES = 1024 * 1024
"""A longer body is left out of its audit event."""

AUDIT_FILE_BYTES = 100 * 1024 * 1024
"""An audit file longer than this is put aside (as FILE.1, in place of an earlier one) and begun anew."""

DOCUMENT_BYTES = 16 * 1024 * 1024
"""Longest discovery or OpenAPI document of an extension server."""

EXTENSION_SECONDS = 5.0
"""How long an extension server may take to describe itself."""

AVAILABILITY_SECONDS = 10.0
"""Time between two looks at the servers behind APIServices."""

QUIET_SECONDS = 1.0
"""What a cluster does not need for its start is done after this time."""
