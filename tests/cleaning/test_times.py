"""Local times to instants, held to zoneinfo."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurestore import cleaning
from featurestore.core.errors import DefinitionError

FORMAT = "%Y-%m-%d %H:%M:%S"
ZONES = ["Europe/London", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Pacific/Apia", "UTC"]
NEAR_CHANGES = [
    datetime(2011, 3, 27, 1), datetime(2011, 10, 30, 1), datetime(2011, 3, 13, 2), datetime(2011, 11, 6, 1),
    datetime(2011, 4, 3, 2), datetime(2011, 10, 2, 2), datetime(2011, 12, 30, 0),
]  # fmt: skip
MOMENTS = st.one_of(
    st.datetimes(datetime(1972, 1, 1), datetime(2030, 1, 1)),
    st.builds(lambda base, seconds: base + timedelta(seconds=seconds), st.sampled_from(NEAR_CHANGES), st.integers(-9000, 9000)),
).map(lambda moment: moment.replace(microsecond=0))


def slow_instants(moment: datetime, zone: str) -> list[datetime]:
    """Every instant at which the zone's clocks show this time, in order."""
    candidates = {moment.replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC) for fold in (0, 1)}
    return sorted(c for c in candidates if c.astimezone(ZoneInfo(zone)).replace(tzinfo=None) == moment)


@settings(max_examples=80, deadline=None)
@given(
    moments=st.lists(MOMENTS, min_size=1, max_size=10),
    zone=st.sampled_from(ZONES),
    ambiguous=st.sampled_from(["refuse", "earliest", "latest"]),
)
def test_local_times_become_the_instants_that_zoneinfo_gives(
    moments: list[datetime], zone: str, ambiguous: Literal["refuse", "earliest", "latest"]
) -> None:
    texts = [moment.strftime(FORMAT) for moment in moments]
    found = pl.LazyFrame({"t": texts}).pipe(cleaning.to_timestamp, "t", FORMAT, zone=zone, ambiguous=ambiguous).collect()
    expected = []
    for moment, text in zip(moments, texts, strict=True):
        instants = slow_instants(moment, zone)
        refused = not instants or (len(instants) > 1 and ambiguous == "refuse")
        expected.append((None, text) if refused else (instants[0 if ambiguous == "earliest" else -1], None))
    assert found.schema["t"] == pl.Datetime("us", "UTC")
    assert found.rows() == expected


def test_what_is_no_time_is_refused_and_null_stays_null() -> None:
    texts = ["2011-02-29 00:00:00", "2011-01-01", "01/02/2011 10:00:00", "", "+12011-01-01 00:00:00", "-0001-01-01 00:00:00", None]
    found = pl.LazyFrame({"t": texts}).pipe(cleaning.to_timestamp, "t", zone="Europe/London").collect()
    assert found.rows() == [(None, text) for text in texts]


def test_text_with_its_own_offset_needs_no_zone() -> None:
    frame = pl.LazyFrame({"t": ["2011-06-01T12:00:00.250000+02:00", "2011-06-01T12:00:00.5-01:00"]})
    found = frame.pipe(cleaning.to_timestamp, "t", "%Y-%m-%dT%H:%M:%S%.f%z", zone=None).collect()["t"].to_list()
    assert found == [datetime(2011, 6, 1, 10, 0, 0, 250_000, UTC), datetime(2011, 6, 1, 13, 0, 0, 500_000, UTC)]


@pytest.mark.parametrize("format", ["%Y-%m-%d", "%d/%m/%y %H:%M", "%m/%d/%Y %I:%M %p", "%Y-%m-%d %H:%M:%S%.f"])
def test_other_formats_are_read(format: str) -> None:
    text = datetime(2011, 6, 15).strftime(format.replace("%.f", ""))
    assert pl.LazyFrame({"t": [text]}).pipe(cleaning.to_timestamp, "t", format, zone="UTC").collect()["t"].to_list() == [
        datetime(2011, 6, 15, tzinfo=UTC)
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"zone": "Europe/Lodon"}, r"there is no time zone 'Europe/Lodon'; did you mean Europe/London"),
        ({"zone": None}, r"zone is None, and the format .* has no offset; name the zone"),
        ({"zone": "UTC", "format": "%Y-%m-%d %H:%M %z"}, r"zone is 'UTC', and the format .* has an offset"),
        ({"zone": "UTC", "format": "yesterday"}, r"no date and time can be read with the format 'yesterday'"),
        ({"zone": "UTC", "format": "%Y-%m-%d %H"}, r"no date and time can be read"),
        ({"zone": "UTC", "format": "%Y %Q"}, r"no date and time can be read"),
        ({"zone": "UTC", "ambiguous": "first"}, r"ambiguous is 'first'; use one of refuse, earliest, latest"),
    ],
)
def test_what_cannot_be_meant_is_refused_at_once(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        cleaning.to_timestamp(pl.LazyFrame({"t": ["2011-01-01 00:00:00"]}), "t", **arguments)
