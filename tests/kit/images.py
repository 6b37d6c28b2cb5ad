"""Names of the images that `.ci/engines` makes and loads into both engines; nothing is pulled from anywhere.

TEST_V1 and TEST_V2 are one Debian root (curl, dig, ip, nc, python3, ps) with `tests/kit/serve.py` as its command,
and differ in the variable VERSION, so that a rolling update is visible. BUSYBOX is a 2 MB static busybox, fit for
shell one-liners; its resolver does not work and its shell drops variables whose names are not identifiers.
"""

from __future__ import annotations

from typing import Final

TEST_V1: Final = "kube-actors/test:1"
TEST_V2: Final = "kube-actors/test:2"
BUSYBOX: Final = "kube-actors/busybox:1"
ALL: Final = (TEST_V1, TEST_V2, BUSYBOX)

ABSENT: Final = "kube-actors/absent:1"
"""Never made: pulling it fails on every engine, since no registry is reachable."""

SERVE: Final = ("/usr/local/bin/serve",)
"""The command of the test images; listens on TCP and UDP port SERVE_PORT unless PORT says otherwise. Its other paths
and variables (READY_FILE, LINGER_SECONDS, ...) stand at the top of `tests/kit/serve.py`."""
SERVE_PORT: Final = 8080
