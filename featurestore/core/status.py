"""What a value of an online answer is: present, null, unknown or too old (Feast's names and numbers)."""

from __future__ import annotations

from enum import IntEnum


class FieldStatus(IntEnum):
    """One a value, beside it. The number is the one on the wire, and every one of them fits a byte."""

    INVALID = 0
    PRESENT = 1
    NULL_VALUE = 2
    NOT_FOUND = 3
    OUTSIDE_MAX_AGE = 4
