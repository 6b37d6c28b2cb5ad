"""The command line: arguments become a configuration, the assembly does the work, and what matters is printed.

Nothing is decided here. An expected failure is one line on stderr that names the cause, and exit code 1.
"""

from __future__ import annotations

from .main import main

__all__ = ["main"]
