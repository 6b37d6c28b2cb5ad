"""Amounts of resources: "100m", "2Gi", "1e3", with the arithmetic and the canonical form of Kubernetes.

Owns parsing, comparing, adding and writing. An amount is an exact decimal and a family of suffixes (decimal,
binary, exponent), which survives arithmetic. This module knows no resource names.
"""

from __future__ import annotations

import functools
import re
from decimal import ROUND_CEILING, Context, Decimal
from typing import Final

DECIMAL: Final = "DecimalSI"
BINARY: Final = "BinarySI"
EXPONENT: Final = "DecimalExponent"

MAX_VALUE: Final = Decimal(2**63 - 1)
_NANO: Final = Decimal("1e-9")
_MAX_LENGTH: Final = 200
_MAX_EXPONENT: Final = 1000
_EXACT: Final = Context(prec=2 * _MAX_EXPONENT + _MAX_LENGTH)

_FORM = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?(.*)", re.DOTALL)
_DECIMAL_SUFFIXES = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY_SUFFIXES = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_DECIMAL_NAMES = {power: suffix for suffix, power in _DECIMAL_SUFFIXES.items()}
_BINARY_NAMES = {power: suffix for suffix, power in _BINARY_SUFFIXES.items()} | {0: ""}
_SUFFIX_FORM = re.compile(r"[eEinumkKMGTP]*[-+]?[0-9]*")
_EXPONENT_FORM = re.compile(r"[eE]([+-]?[0-9]+)")

BAD_FORMAT: Final = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
BAD_SUFFIX: Final = "unable to parse quantity's suffix"
BAD_NUMBER: Final = "unable to parse numeric part of quantity"
_CACHE_SIZE = 4096


class QuantityError(ValueError):
    """This is no amount."""


@functools.total_ordering
class Quantity:
    """An exact amount. Equal amounts are equal whatever their suffixes: 1 == 1000m."""

    __slots__ = ("_text", "amount", "form")

    def __init__(self, amount: Decimal | int, form: str = DECIMAL, text: str = "") -> None:
        self.amount = Decimal(amount)
        self.form = form
        self._text = text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Quantity) and self.amount == other.amount

    def __lt__(self, other: Quantity) -> bool:
        return self.amount < other.amount

    def __hash__(self) -> int:
        return hash(self.amount)

    def __bool__(self) -> bool:
        return bool(self.amount)

    def __add__(self, other: Quantity) -> Quantity:
        """The sum, in the family of the first; a zero takes over the family of the other."""
        return Quantity(_EXACT.add(self.amount, other.amount), self.form if self.amount else other.form)

    def __sub__(self, other: Quantity) -> Quantity:
        return Quantity(_EXACT.subtract(self.amount, other.amount), self.form if self.amount else other.form)

    def __neg__(self) -> Quantity:
        return Quantity(-self.amount, self.form)

    def __mul__(self, factor: int) -> Quantity:
        return Quantity(_EXACT.multiply(self.amount, Decimal(factor)), self.form)

    @property
    def sign(self) -> int:
        return 0 if not self.amount else (-1 if self.amount < 0 else 1)

    def value(self) -> int:
        """The whole number, rounded away from zero."""
        return self.scaled(0)

    def milli_value(self) -> int:
        """Thousandths, rounded away from zero."""
        return self.scaled(-3)

    def scaled(self, power: int) -> int:
        """Units of 10**power, rounded away from zero."""
        scaled = _EXACT.scaleb(self.amount, -power)
        whole = int(abs(scaled).to_integral_value(ROUND_CEILING, _EXACT))
        return whole if self.amount >= 0 else -whole

    def __str__(self) -> str:
        """The canonical form: no fraction, the largest suffix that needs none."""
        amount = self.amount
        if self._text:
            return self._text
        if not amount:
            return "0"
        form = self.form
        if form == BINARY and (abs(amount) < 1024 or amount != amount.to_integral_value()):
            form = DECIMAL
        if form == BINARY:
            return _binary_text(int(amount))
        return _decimal_text(amount, form)

    def __repr__(self) -> str:
        return f"Quantity({str(self)!r})"


def _binary_text(number: int) -> str:
    power = 0
    while power < 60 and number % 1024 == 0:
        number //= 1024
        power += 10
    return f"{number}{_BINARY_NAMES[power]}"


def _decimal_text(amount: Decimal, form: str) -> str:
    scaled = int(_EXACT.scaleb(amount, 9))
    power = -9
    while scaled % 1000 == 0 and (form == EXPONENT or power < 18):
        scaled //= 1000
        power += 3
    if form == EXPONENT:
        return f"{scaled}e{power}" if power else str(scaled)
    return f"{scaled}{_DECIMAL_NAMES[power]}"


ZERO: Final = Quantity(0)


def parse(text: str | int | float) -> Quantity:
    """An amount from what stands on the wire or in a manifest; QuantityError in Kubernetes' words."""
    return _parse(text if isinstance(text, str) else str(text))


@functools.lru_cache(maxsize=_CACHE_SIZE)
def _parse(text: str) -> Quantity:
    if text.isascii() and text.isdigit() and len(text) < 16 and (text[0] != "0" or text == "0"):
        return Quantity(int(text))
    match = _FORM.fullmatch(text)
    if not text or match is None or not _SUFFIX_FORM.fullmatch(match.group(4)):
        raise QuantityError(BAD_FORMAT)
    sign, whole, fraction, suffix = match.groups(default="")
    if len(text) > _MAX_LENGTH:
        raise QuantityError(BAD_NUMBER)
    power, form = _power(suffix)
    factor = Decimal(2**power) if form == BINARY else Decimal(1).scaleb(power)
    number = Decimal(f"{sign}{whole or '0'}.{fraction or '0'}")
    amount = _limit(_EXACT.multiply(number, factor), form)
    kept = _is_kept(whole.lstrip("0") or "0", fraction, power, form)
    return Quantity(amount, form, text if kept and text != "0" else "")


def _power(suffix: str) -> tuple[int, str]:
    if suffix in _DECIMAL_SUFFIXES:
        return _DECIMAL_SUFFIXES[suffix], DECIMAL
    if suffix in _BINARY_SUFFIXES:
        return _BINARY_SUFFIXES[suffix], BINARY
    match = _EXPONENT_FORM.fullmatch(suffix)
    if match is None or abs(int(match.group(1))) > _MAX_EXPONENT:
        raise QuantityError(BAD_SUFFIX)
    return int(match.group(1)), EXPONENT


def _is_kept(whole: str, fraction: str, power: int, form: str) -> bool:
    """Whether Kubernetes writes the text as it was given. It does so when it takes it for canonical already,
    which it also does for a few texts that are not, such as "1.500" and "+1"."""
    digits = whole + fraction
    if form == BINARY:
        room = 14 - len(whole) - int(power * 3 / 10)
        return not fraction and room >= 0 and int(digits) & 7 != 0
    scale = power - len(fraction)
    if len(digits) > 18 or scale < -9:
        return False
    return scale % 3 == 0 and not digits.endswith("000") and digits[0] != "0"


def _limit(amount: Decimal, form: str) -> Decimal:
    """Finer than a billionth is rounded away from zero; a binary amount is cut to the largest int64."""
    if form == BINARY and abs(amount) > MAX_VALUE:
        return MAX_VALUE if amount > 0 else -MAX_VALUE
    exponent = amount.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -9:
        rounded = abs(amount).quantize(_NANO, ROUND_CEILING, _EXACT)
        return rounded if amount >= 0 else -rounded
    return amount


def canonical(text: str | int | float) -> str:
    """The form in which the server writes an amount."""
    return str(parse(text))


def from_milli(number: int, form: str = DECIMAL) -> Quantity:
    return Quantity(Decimal(number).scaleb(-3), form)


def total(amounts: dict[str, Quantity], more: dict[str, Quantity]) -> dict[str, Quantity]:
    """The sum of two resource lists, name by name."""
    result = dict(amounts)
    for name, amount in more.items():
        result[name] = result[name] + amount if name in result else amount
    return result


def milli(text: str | int | float) -> int:
    """Thousandths of an amount: the unit in which CPU is counted."""
    return parse(text).milli_value()


def units(text: str | int | float) -> int:
    """Whole units of an amount: bytes of memory, number of pods."""
    return parse(text).value()
