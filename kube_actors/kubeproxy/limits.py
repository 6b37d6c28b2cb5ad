"""Every bound and default of the proxy component, by name."""

from typing import Final

AFFINITY_SECONDS: Final = 10800
"""ClientIP affinity of a Service that does not say how long; the API server's default as well."""
