"""Microseconds and times, exactly."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featurestore.core.clock import fixed_clock, from_microseconds, parse_time, to_microseconds
from featurestore.core.errors import InvalidInputError


@given(st.datetimes(timezones=st.just(UTC)))
def test_microseconds_are_exact_both_ways(moment: datetime) -> None:
    assert from_microseconds(to_microseconds(moment)) == moment


def test_naive_is_utc_and_offsets_are_honoured() -> None:
    assert to_microseconds(datetime(1970, 1, 1, 0, 0, 1)) == 1_000_000
    assert to_microseconds(datetime(1970, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))) == 0
    assert parse_time("2011-12-09") == datetime(2011, 12, 9, tzinfo=UTC)
    assert parse_time("2011-12-09T12:50:00Z") == datetime(2011, 12, 9, 12, 50, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "yesterday", "2011-13-01", "12:50"])
def test_text_that_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError, match="is not a time"):
        parse_time(text)


def test_a_fixed_clock_stands_still() -> None:
    clock = fixed_clock(5)
    assert (clock(), clock()) == (5, 5)
