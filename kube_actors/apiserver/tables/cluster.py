"""placeholder"""

from .printer import Printer

PRINTERS: dict[tuple[str, str], Printer] = {}
