"""Errors, fates and types."""

from __future__ import annotations

import pytest

from featurestore.core import fates
from featurestore.core.errors import FeatureStoreError, UnknownNameError, nearest
from featurestore.core.types import FIXED_WIDTH, ValueType


def test_an_error_is_one_line_cause_then_remedy() -> None:
    assert str(FeatureStoreError("it\nbroke", "mend  it")) == "it broke; mend it"
    assert str(FeatureStoreError("it broke")) == "it broke"
    assert "did you mean" not in str(UnknownNameError("view", "x", []))


def test_nearest_falls_back_to_what_there_is() -> None:
    assert nearest("custmer", ["product", "customer"]) == ("customer",)
    assert nearest("zzz", ["b", "a"]) == ("a", "b")


def test_fates_must_add_up() -> None:
    fates.Fates(10, 5, 2, 2, 1)
    with pytest.raises(AssertionError, match="do not add up"):
        fates.Fates(10, 5, 2, 2, 2)
    with pytest.raises(AssertionError, match="do not add up"):
        fates.Fates(1, 2, -1, 0, 0)


def test_refused_columns_carry_rule_and_column() -> None:
    assert fates.refused_parts(fates.refused_column("in_range", "a|b")) == ("in_range", "a|b")
    assert fates.refused_parts("amount") is None
    assert fates.refused_parts(fates.DROPPED) is None


def test_element_types_of_collections() -> None:
    assert ValueType.UNIX_TIMESTAMP_SET.element is ValueType.UNIX_TIMESTAMP
    assert ValueType.TIME_UUID_LIST.element is ValueType.TIME_UUID
    assert ValueType.STRUCT_LIST.element is None
    assert ValueType.VALUE_LIST.is_message
    assert not ValueType.DOUBLE.is_message
    assert {t for t in ValueType if t.is_fixed} == set(FIXED_WIDTH)
