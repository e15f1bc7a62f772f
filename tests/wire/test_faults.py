"""Errors on the wire: what goes in comes out, and nothing outgrows gRPC's headers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featurestore.core.errors import CorruptDataError, InvalidInputError, UnknownNameError
from featurestore.wire.faults import LONGEST_MESSAGE, LONGEST_TRAILER, from_trailer, to_message, to_trailer


@given(cause=st.text(max_size=80), remedy=st.text(max_size=80))
def test_a_callers_error_comes_back_as_it_was(cause: str, remedy: str) -> None:
    error = InvalidInputError(cause, remedy)
    back = from_trailer(to_trailer(error))
    assert isinstance(back, InvalidInputError)
    assert (back.cause, back.remedy, str(back)) == (error.cause, error.remedy, str(error))


@given(name=st.text(max_size=30), choices=st.lists(st.text(min_size=1, max_size=20), max_size=6))
def test_an_unknown_name_comes_back_with_its_choices(name: str, choices: list[str]) -> None:
    error = UnknownNameError("feature view", name, choices)
    back = from_trailer(to_trailer(error))
    assert isinstance(back, UnknownNameError)
    assert (back.kind, back.name, back.choices, str(back)) == (error.kind, error.name, error.choices, str(error))


@pytest.mark.parametrize("letter", ["x", "ü", "🙂", "\x00", '"'])
def test_nothing_outgrows_the_headers(letter: str) -> None:
    long = letter * 100_000
    for error in (InvalidInputError(long, long), UnknownNameError(long, long, [long, long])):
        assert len(to_trailer(error)) <= LONGEST_TRAILER
        assert len(to_message(error).encode()) <= LONGEST_MESSAGE
        assert to_message(error).endswith("...")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"{}",
        b"[]",
        b"1",
        b'{"class": "InvalidInputError"}',
        b'{"class": "Other"}',
        to_trailer(CorruptDataError("a", "b")),
    ],
)
def test_what_is_no_callers_error_is_none(data: bytes) -> None:
    assert from_trailer(data) is None
