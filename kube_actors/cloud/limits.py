"""Every bound and period of the cloud controllers, by name. Seconds."""

from typing import Final

RETRY_INITIAL_SECONDS: Final = 5.0
RETRY_MAX_SECONDS: Final = 300.0
"""Pause after a call that the cloud refused; it doubles with each."""

NODE_MONITOR_SECONDS: Final = 5.0
"""How often the machines behind nodes that are not Ready are looked for."""

NODE_REFRESH_SECONDS: Final = 300.0
"""How often the addresses of all nodes are read again."""

STORAGE_RETRY_SECONDS: Final = 1.0
"""Pause before a volume that could not be made or removed is tried again; it doubles with each failure."""
