"""Time as the package keeps it: int64 microseconds since 1970-01-01T00:00:00Z, read from a clock that is passed in."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from featurestore.core.errors import InvalidInputError

Clock = Callable[[], int]
"""Gives the present in microseconds since the epoch, UTC."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def system_clock() -> int:
    """The machine's present time."""
    return time.time_ns() // 1000


def fixed_clock(microseconds: int) -> Clock:
    """A clock that stands still, for replays (`serve --as-of`) and tests."""
    return lambda: microseconds


def to_microseconds(moment: datetime) -> int:
    """Exact microseconds since the epoch. A naive time is read as UTC, as Feast does."""
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return (aware - EPOCH) // _MICROSECOND


def from_microseconds(microseconds: int) -> datetime:
    """The aware UTC time of microseconds since the epoch."""
    return EPOCH + timedelta(microseconds=microseconds)


def parse_time(text: str) -> datetime:
    """An ISO 8601 time, `2011-12-09` or `2011-12-09T12:50:00+00:00`; without an offset it is UTC.

    Raises:
        InvalidInputError: the text is not such a time.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise InvalidInputError(f"{text!r} is not a time", "write it as 2011-12-09T12:50:00Z (ISO 8601)") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
