"""The decorators: what a table must say about itself, and what it is to Feast and to the catalog."""

from __future__ import annotations

from typing import Annotated, Any

import pandera.polars as pa
import polars as pl
import pytest

from featurestore.core.errors import DefinitionError
from featurestore.core.types import ValueType
from featurestore.preparation import spec, sql_table, table
from tests.preparation.sales import Sale, buyer_days, sales

Options = dict[str, Any]
GOOD: Options = {"contract": Sale, "key": ["id"], "timestamp_field": "at"}


def one(raw: pl.LazyFrame) -> pl.LazyFrame:
    return raw


def none() -> None: ...


def default(raw: int = 1) -> None: ...


def many(*raw: int) -> None: ...


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"key": ["idd"]}, "key column idd is not in contract Sale; did you mean id"),
        ({"key": ["buyer"]}, "key column buyer may be null in contract Sale; make it nullable=False"),
        ({"key": []}, "no key"),
        ({"key": "id"}, r"give a list, such as key=\['id'\]"),
        ({"timestamp_field": "when"}, "timestamp_field column when is not in contract"),
        ({"timestamp_field": "amount"}, "amount is DOUBLE in contract Sale; make it a UTC datetime"),
        ({"created_timestamp_column": "id"}, "id is INT64"),
        ({"max_quarantined": 1.5}, "max_quarantined is 1.5"),
        ({"contract": dict}, "no contract"),
    ],
)
def test_a_table_that_contradicts_its_contract_is_refused(options: Options, message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        table(**{**GOOD, **options})(one)


@pytest.mark.parametrize(
    ("function", "message"), [(none, "no parameter"), (default, "has a default"), (many, "cannot name an input")]
)
def test_parameters_must_name_inputs(function: Any, message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        table(**GOOD)(function)


def test_only_a_function_can_be_a_table() -> None:
    with pytest.raises(DefinitionError, match="plain function"):
        sql_table(**GOOD)("select 1")  # type: ignore[arg-type]


def test_a_function_without_source_is_refused() -> None:
    namespace: dict[str, Any] = {"__name__": "nowhere"}
    exec("def made(raw): return raw", namespace)
    with pytest.raises(DefinitionError, match=r"source of nowhere\.made cannot be read"):
        table(**GOOD)(namespace["made"])


def test_a_table_is_named_by_its_function_and_reads_its_parameters() -> None:
    assert (sales.name, sales.kind, sales.inputs, sales.path) == ("sales", "polars", ("raw_sales",), "data/offline/sales")
    assert (buyer_days.name, buyer_days.kind, buyer_days.inputs) == ("buyer_days", "sql", ("sales",))


def test_its_source_is_one_feast_source_over_its_folder() -> None:
    source = sales.source
    assert source is sales.source
    assert (source.name, source.path, source.timestamp_field) == ("sales", "data/offline/sales", "at")


def test_the_catalog_has_its_columns_and_key() -> None:
    kept = spec(sales)
    assert (kept.name, kept.path, kept.key, kept.timestamp_field, kept.inputs) == (
        "sales",
        "data/offline/sales",
        ("id",),
        "at",
        ("raw_sales",),
    )
    assert {f.name: f.dtype for f in kept.columns} == {
        "id": ValueType.INT64,
        "buyer": ValueType.STRING,
        "amount": ValueType.DOUBLE,
        "at": ValueType.UNIX_TIMESTAMP,
    }
    assert kept.code_hash == sales.code_hash


def test_the_code_hash_tells_functions_keys_and_contracts_apart() -> None:
    class Sale(pa.DataFrameModel):  # the same name, another body
        id: int
        at: Annotated[pl.Datetime, "us", "UTC"]

    def other(raw: pl.LazyFrame) -> pl.LazyFrame:
        return raw.head(1)

    tables = [
        table(**GOOD)(one),
        table(**GOOD)(other),
        table(**{**GOOD, "key": ["id", "amount"]})(one),
        table(**{**GOOD, "contract": Sale})(one),
        sql_table(**GOOD)(one),
    ]
    assert len({each.code_hash for each in tables}) == len(tables)
    assert table(**GOOD)(one).code_hash == tables[0].code_hash
