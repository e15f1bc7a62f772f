"""Compiling contracts: what they hold, and what is refused by name instead of being left out."""

from __future__ import annotations

from typing import Annotated, Any, Optional

import pandera.polars as pa
import polars as pl
import pytest

from featurestore.core.catalog import Field
from featurestore.core.errors import DefinitionError, TransformError
from featurestore.core.types import ValueType
from featurestore.validation import check_schema, compile_contract


class Types(pa.DataFrameModel):
    """Every type that a feature type holds."""

    i8: pl.Int8
    i16: pl.Int16
    i32: pl.Int32
    i64: int
    u8: pl.UInt8
    u16: pl.UInt16
    u32: pl.UInt32
    f32: pl.Float32
    f64: float
    flag: bool
    text: str = pa.Field(alias="the text", unique=True, nullable=True)
    data: bytes
    moment: Annotated[pl.Datetime, "us", "UTC"]
    other: pl.Datetime("us", "UTC")  # type: ignore[valid-type]
    words: list[str]
    floats: pl.List(pl.Float32())  # type: ignore[valid-type]
    moments: pl.List(pl.Datetime("us", "UTC"))  # type: ignore[valid-type]


def test_columns_become_fields_of_the_type_that_holds_them() -> None:
    contract = compile_contract(Types)
    t = ValueType
    assert contract.name == "Types"
    assert [field.dtype for field in contract.fields] == [
        t.INT32, t.INT32, t.INT32, t.INT64, t.INT32, t.INT32, t.INT64, t.FLOAT, t.DOUBLE, t.BOOL, t.STRING, t.BYTES,
        t.UNIX_TIMESTAMP, t.UNIX_TIMESTAMP, t.STRING_LIST, t.FLOAT_LIST, t.UNIX_TIMESTAMP_LIST,
    ]  # fmt: skip
    assert contract.fields[10] == Field("the text", ValueType.STRING)
    assert (contract.columns[10].nullable, contract.columns[10].unique, contract.columns[3].nullable) == (True, True, False)
    assert contract.schema["floats"] == pl.List(pl.Float32)


def column(dtype: Any, **options: Any) -> type:
    """A model of one column `x`."""
    return type("Made", (pa.DataFrameModel,), {"__annotations__": {"x": dtype}, "x": pa.Field(**options)})


@pytest.mark.parametrize(
    ("dtype", "remedy"),
    [
        (pl.UInt64, "declare Int64 where the values fit"),
        (pl.Date, r'declare pl.Datetime\("us", "UTC"\) for an instant'),
        (pl.Datetime, "bring local times there with cleaning.to_timestamp"),
        (pl.Datetime("ms", "UTC"), r'declare pl.Datetime\("us", "UTC"\)'),
        (pl.Decimal, "declare Float64"),
        (pl.Categorical, "declare String, with isin"),
        (pl.Struct({"a": pl.Int64}), "declare one column for each"),
        (pl.List(pl.List(pl.Int64)), "or a list of one"),
        (pl.Time, "declare one of Boolean"),
    ],
)
def test_a_type_that_no_feature_holds_is_refused_with_what_to_use(dtype: Any, remedy: str) -> None:
    with pytest.raises(DefinitionError, match=rf"contract Made: column x is .*, which no feature type holds; .*{remedy}"):
        compile_contract(column(dtype))


def with_check(check: Any) -> type:
    class Made(pa.DataFrameModel):
        x: int
        y: int
        s: str

        judged = check

    return Made


def on_x(body: Any, name: str = "mine", **options: Any) -> Any:
    def function(cls: Any, data: pa.PolarsData) -> Any:
        return body(data)

    function.__name__ = name
    return pa.check("x", name=name, **options)(function)


def raises(data: pa.PolarsData) -> Any:
    raise KeyError("lost")


def udf(data: pa.PolarsData) -> Any:
    return data.lazyframe.select(pl.col(data.key).map_batches(lambda series: series > 0, return_dtype=pl.Boolean))


UNCOMPILED: list[tuple[Any, str]] = [
    (on_x(lambda data: True), "is not one selected expression"),
    (on_x(lambda data: data.lazyframe.filter(pl.col("x") > 0)), "is not one selected expression"),
    (on_x(lambda data: data.lazyframe.with_columns(x=pl.col("x") * 2).select(pl.col("x") > 0)), "is not one selected expression"),
    (on_x(lambda data: data.lazyframe.select(pl.col("x") > 0).collect()), "raised AttributeError"),
    (on_x(lambda data: data.lazyframe.select(True)), "is not one selected expression"),
    (on_x(lambda data: data.lazyframe.select(pl.lit(True))), "depends on other rows or on none"),
    (on_x(lambda data: data.lazyframe.select(pl.col("x") > pl.col("x").mean())), "depends on other rows or on none"),
    (on_x(lambda data: data.lazyframe.select(pl.col("x").is_first_distinct())), "depends on other rows or on none"),
    (on_x(lambda data: data.lazyframe.select((pl.col("x").shift() > 0).fill_null(True))), "depends on other rows or on none"),
    (on_x(lambda data: data.lazyframe.select(pl.col("x").max().over("y") > 0)), "depends on other rows or on none"),
    (on_x(udf), "cannot be taken apart"),
    (on_x(lambda data: data.lazyframe.select(pl.all() != 0)), "cannot be taken apart"),
    (on_x(lambda data: data.lazyframe.select(pl.col("x") + 1)), "gives Int64, not true or false"),
    (on_x(lambda data: data.lazyframe.select(pl.col("z") > 1)), "cannot be computed on this contract's columns"),
    (on_x(lambda data: data.lazyframe.select(pl.col("s").str.contains("(") & (pl.col("x") > 0))), "cannot be computed"),
    (on_x(raises), r"raised KeyError \('lost'\)"),
    (on_x(lambda value: value > 0, element_wise=True), "is element-wise, so it is no expression"),
    (on_x(lambda data: data.lazyframe.select(pl.col("x") > 0), raise_warning=True), "only warns"),
    (on_x(lambda data: data.lazyframe.select(pl.col("x") > 0), name="a|b"), "give it a name of its own"),
]


@pytest.mark.parametrize(("check", "message"), UNCOMPILED)
def test_a_check_that_cannot_judge_rows_is_refused_by_name(check: Any, message: str) -> None:
    with pytest.raises(DefinitionError, match=rf"contract Made: column x: .*{message}"):
        compile_contract(with_check(check))


def test_a_built_in_check_over_the_whole_column_is_refused() -> None:
    with pytest.raises(DefinitionError, match=r"column x: check unique_values_eq is not one selected expression"):
        compile_contract(column(int, unique_values_eq=[1, 2]))


def test_a_check_of_the_wrong_type_is_refused_when_the_contract_is_compiled() -> None:
    with pytest.raises(DefinitionError, match=r"column x: check greater_than_or_equal_to cannot be computed"):
        compile_contract(column(str, ge=0))
    with pytest.raises(DefinitionError, match=r"column x: check str_matches cannot be computed"):
        compile_contract(column(str, str_matches="(?=a)"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"coerce": True}, "column x asks for coerce"),
        ({"default": 1}, "column x asks for a default"),
        ({"regex": True, "alias": "^x.*$"}, "asks for regex"),
        ({"alias": "__x"}, "column __x begins with __"),
    ],
)
def test_a_field_option_that_would_change_data_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        compile_contract(column(int, **options))


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"coerce": True}, "asks for coerce"),
        ({"strict": "filter"}, "asks for strict='filter'"),
        ({"ordered": True}, "asks for ordered"),
        ({"add_missing_columns": True}, "asks for add_missing_columns"),
        ({"drop_invalid_rows": True}, "asks for drop_invalid_rows"),
        ({"unique": ["x", "z"]}, "unique names z, which is no column of it"),
    ],
)
def test_a_config_option_that_would_change_data_is_refused(option: dict[str, Any], message: str) -> None:
    config = type("Config", (), option)
    model = type("Made", (pa.DataFrameModel,), {"__annotations__": {"x": int}, "Config": config})
    with pytest.raises(DefinitionError, match=f"contract Made.*{message}"):
        compile_contract(model)


def test_what_is_no_contract_is_refused() -> None:
    with pytest.raises(DefinitionError, match="give a class derived from pandera"):
        compile_contract(dict)
    with pytest.raises(DefinitionError, match="has no column"):
        compile_contract(type("Empty", (pa.DataFrameModel,), {}))
    with pytest.raises(DefinitionError, match="is optional"):
        compile_contract(column(Optional[int]))  # noqa: UP045
    with pytest.raises(DefinitionError, match="contract Made is malformed"):
        compile_contract(column(complex))


def test_several_sets_of_unique_columns_are_kept() -> None:
    config = type("Config", (), {"unique": [["x"], ["x", "y"]]})
    model = type("Made", (pa.DataFrameModel,), {"__annotations__": {"x": int, "y": int}, "Config": config})
    assert compile_contract(model).unique == (("x",), ("x", "y"))


class Published(pa.DataFrameModel):
    """A table's contract."""

    customer_id: int
    amount: float
    paid_at: Annotated[pl.Datetime, "us", "UTC"]


GOOD: dict[str, Any] = {"customer_id": pl.Int64(), "amount": pl.Float64(), "paid_at": pl.Datetime("us", "UTC")}


def test_columns_in_any_order_are_right() -> None:
    check_schema(compile_contract(Published), pl.Schema(dict(reversed(GOOD.items()))), "table payments")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"amount": None}, r"returns the wrong columns: missing amount; contract Published has customer_id, amount, paid_at"),
        ({"amount": None, "amuont": pl.Float64()}, r"missing amount \(is it amuont\?\); extra amuont"),
        ({"extra": pl.Int64()}, "returns the wrong columns: extra extra"),
        ({"amount": pl.Int64()}, "amount is Int64 and should be Float64; cast it, or declare Int64"),
        ({"customer_id": pl.String()}, "customer_id is String and should be Int64; read the text with cleaning.to_integer"),
        ({"paid_at": pl.Datetime("us")}, "name the zone that the naive times are in: cleaning.to_timestamp"),
        ({"paid_at": pl.Datetime("ns", "UTC")}, r"convert it with \.dt\.convert_time_zone"),
        ({"paid_at": pl.Datetime("us", "Europe/London")}, r"convert it with \.dt\.convert_time_zone"),
        ({"paid_at": pl.String()}, "read the text with cleaning.to_timestamp, which asks for its time zone"),
        ({"paid_at": pl.Date()}, "cast it, or declare Date"),
    ],
)
def test_wrong_columns_and_types_are_named_with_the_remedy(change: dict[str, Any], message: str) -> None:
    schema = {name: dtype for name, dtype in {**GOOD, **change}.items() if dtype is not None}
    with pytest.raises(TransformError, match=f"table payments .*{message}"):
        check_schema(compile_contract(Published), pl.Schema(schema), "table payments")
