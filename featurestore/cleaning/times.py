"""Local times in text to instants: the definition names the zone, and times that the zone does not have are refused."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, get_args
from zoneinfo import available_timezones

import polars as pl

from featurestore.cleaning.frames import need_text, refusal
from featurestore.core.errors import DefinitionError, nearest

Ambiguous = Literal["refuse", "earliest", "latest"]

_SAMPLE = datetime(2011, 6, 15, 14, 35, 59)


def to_timestamp(
    frame: pl.LazyFrame,
    column: str,
    format: str = "%Y-%m-%d %H:%M:%S",
    *,
    zone: str | None,
    ambiguous: Ambiguous = "refuse",
) -> pl.LazyFrame:
    """Datetime in UTC, to the microsecond, from text in `format` (strftime's letters) that is local time in `zone`.

    `zone` is a name such as Europe/London, or None where the text carries its own offset (`%z`). When clocks go back an hour occurs
    twice: `ambiguous` says which is meant, or "refuse". When they go forward an hour does not occur at all: such times are refused.
    Text in another form, and years outside 1 to 9999, are refused as well, all under the rule "timestamp", and become null. Null
    stays null.

    Raises:
        DefinitionError: the column does not exist or is not text, or the format, zone or rule for ambiguous times cannot be meant.
    """
    schema = frame.collect_schema()
    need_text(schema, "to_timestamp", [column])
    _need_format(format, zone)
    if ambiguous not in get_args(Ambiguous):
        raise DefinitionError(f"cleaning.to_timestamp: ambiguous is {ambiguous!r}", f"use one of {', '.join(get_args(Ambiguous))}")

    moment = pl.col(column).str.to_datetime(format, strict=False, time_unit="us")
    if zone is not None:
        moment = moment.dt.replace_time_zone(
            zone, ambiguous="null" if ambiguous == "refuse" else ambiguous, non_existent="null"
        ).dt.convert_time_zone("UTC")
    # Python's datetime ends there, and with it everything that would show or compare such a value.
    instant = pl.when(moment.dt.year().is_between(1, 9999)).then(moment)
    return frame.with_columns(
        instant.alias(column), refusal(schema, "timestamp", column, pl.col(column).is_not_null() & instant.is_null())
    )


def _need_format(format: str, zone: str | None) -> None:
    """A format is good if it reads back the day it wrote: Polars itself takes any text for one, even one without a date."""
    has_offset = "%z" in format or "%:z" in format or "%#z" in format
    if has_offset == (zone is not None):
        raise DefinitionError(
            f"cleaning.to_timestamp: zone is {zone!r}, and the format {format!r} has {'an' if has_offset else 'no'} offset",
            "name the zone of local times, or read their offset with %z: one of the two",
        )
    sample = pl.Series([_SAMPLE])
    if zone is not None:
        try:
            sample.dt.replace_time_zone(zone)
        except pl.exceptions.PolarsError:
            likely = ", ".join(nearest(zone, available_timezones()))
            raise DefinitionError(f"cleaning.to_timestamp: there is no time zone {zone!r}", f"did you mean {likely}?") from None
    if has_offset:
        sample = sample.dt.replace_time_zone("UTC")
    try:
        readable = sample.dt.to_string(format).str.to_datetime(format, strict=False).dt.date().to_list() == [_SAMPLE.date()]
    except pl.exceptions.PolarsError:
        readable = False
    if not readable:
        raise DefinitionError(
            f"cleaning.to_timestamp: no date and time can be read with the format {format!r}", "write it like %Y-%m-%d %H:%M:%S"
        )
