"""`get-online-features` and `get-historical-features`: one lookup, or one training set, from the shell."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer
from rich.table import Table

import featurestore
from featurestore.cli.output import Chdir, Debug, Json, console, errors_as_lines, print_json
from featurestore.core.catalog import Catalog, Field
from featurestore.core.clock import parse_time
from featurestore.core.errors import InvalidInputError, SourceError
from featurestore.core.selection import select
from featurestore.core.types import ValueType
from featurestore.registry import load_catalog, load_config

Features = Annotated[
    list[str] | None, typer.Option("--features", "-f", help="view:feature, or view:* for all of a view's; repeat for more.")
]
Service = Annotated[str | None, typer.Option("--service", "-s", help="A feature service, instead of --features.")]
FullNames = Annotated[bool, typer.Option("--full-feature-names", help="Name the answers view__feature.")]


SHOWN = 5
"""Rows of a training set that are shown on a terminal."""

TIMESTAMP = "event_timestamp"


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command("get-online-features")(get_online_features)
    app.command("get-historical-features")(get_historical_features)


def get_online_features(
    entities: Annotated[
        list[str] | None,
        typer.Option("--entities", "-e", metavar="KEY=VALUE", help="A join key's value; repeat it for more rows."),
    ] = None,
    features: Features = None,
    service: Service = None,
    address: Annotated[str, typer.Option("--address", help="A running server, host:port.")] = "127.0.0.1:6566",
    full_feature_names: FullNames = False,
    chdir: Chdir = Path(),
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Look features up on a running server."""
    with errors_as_lines(debug):
        wanted = _wanted(features, service)
        rows = _entity_columns(load_catalog(load_config(chdir).catalog), wanted, entities or [])
        with featurestore.Client(address) as client:
            answer = client.get_online_features(features=wanted, entity_rows=rows, full_feature_names=full_feature_names)
        values, statuses = answer.to_dict(), answer.statuses()
        if as_json:
            print_json({"values": values, "statuses": statuses})
            return
        names = list(values)
        table = Table("name", *(f"row {i + 1}" for i in range(len(values[names[0]]))), box=None, header_style="bold")
        for name in names:
            cells = zip(values[name], statuses[name], strict=True)
            table.add_row(name, *(str(value) if status == "PRESENT" else f"({status})" for value, status in cells))
        console.print(table)


def get_historical_features(
    dataframe: Annotated[
        str,
        typer.Option(
            "--dataframe",
            "-d",
            help="The entity rows: a .csv or .parquet file (relative to where you are), or JSON text [{...}, ...].",
        ),
    ],
    features: Features = None,
    service: Service = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write the training set to this .parquet or .csv file.")] = None,
    full_feature_names: FullNames = False,
    filter_by_created_timestamp: Annotated[
        bool, typer.Option("--filter-by-created-timestamp", help="Leave out values created after the row's time.")
    ] = False,
    chdir: Chdir = Path(),
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Join features to entity rows, each as of its own time."""
    with errors_as_lines(debug):
        store, wanted = featurestore.FeatureStore(repo_path=chdir), _wanted(features, service)
        frame = store.get_historical_features(
            entity_df=_entity_frame(dataframe, select(store.catalog, wanted, full_feature_names=True).join_keys),
            features=wanted,
            full_feature_names=full_feature_names,
            filter_by_created_timestamp=filter_by_created_timestamp,
        ).to_polars()
        if out is not None:
            _write(frame, out)
            console.print(f"wrote {frame.height:,} rows x {frame.width} columns to {out}")
        if as_json:
            print_json({"rows": frame.height, "columns": frame.columns} if out is not None else {"rows": frame.to_dicts()})
        elif out is None:
            _show(frame)


def _show(frame: pl.DataFrame) -> None:
    """A column a line, for there are more columns than a terminal is wide; of the rows the first ones."""
    head = frame.head(SHOWN)
    table = Table("column", *(f"row {place + 1}" for place in range(head.height)), box=None, header_style="bold")
    for column in head.iter_columns():
        table.add_row(column.name, *("null" if value is None else str(value) for value in column.to_list()))
    console.print(table)
    if frame.height > SHOWN:
        console.print(f"and {frame.height - SHOWN:,} more rows: --out writes them all")


def _wanted(features: Sequence[str] | None, service: str | None) -> list[str] | str:
    if (features is None) == (service is None):
        raise InvalidInputError(
            "ask either for --features or for a --service", "for example -f customer_day:spend_total, or -s repurchase_v1"
        )
    return service if service is not None else list(features or ())


def _entity_columns(catalog: Catalog, wanted: list[str] | str, entities: Sequence[str]) -> dict[str, list[Any]]:
    """The values given as KEY=VALUE, by key, each read as its join key's type."""
    types = {key.name: key.dtype for key in select(catalog, wanted, full_feature_names=True).join_keys}
    columns: dict[str, list[Any]] = {}
    for entity in entities:
        key, equals, text = entity.partition("=")
        if not equals:
            raise InvalidInputError(f"{entity!r} is not KEY=VALUE", "write for example -e customer_id=12347")
        columns.setdefault(key, []).append(_entity_value(key, text, types))
    return columns


def _entity_value(key: str, text: str, types: Mapping[str, ValueType]) -> Any:
    dtype = types.get(key, ValueType.STRING)  # a key nobody asked for goes on as text: the server names the keys it expects
    try:
        match dtype:
            case ValueType.INT32 | ValueType.INT64:
                return int(text)
            case ValueType.BOOL:
                return {"true": True, "false": False}[text.lower()]
            case ValueType.BYTES:
                return bytes.fromhex(text)
            case ValueType.UNIX_TIMESTAMP:
                return parse_time(text)
            case _:
                return text
    except (ValueError, KeyError):
        raise InvalidInputError(f"{key}={text!r}: the join key {key} is {dtype.name}", "give a value of that type") from None


def _entity_frame(given: str, join_keys: Sequence[Field]) -> pl.DataFrame:
    """The entity rows of a file or of JSON text, the join keys as their types have it and event_timestamp as a time."""
    types = {key.name: pl.String() for key in join_keys if key.dtype in (ValueType.STRING, ValueType.UUID)}
    if given.lstrip().startswith("["):
        try:
            frame = pl.DataFrame(json.loads(given), schema_overrides=types)
        except (ValueError, TypeError, pl.exceptions.PolarsError) as error:
            raise InvalidInputError(
                f"--dataframe is not a JSON list of rows ({error})", 'write [{"event_timestamp": "...", ...}]'
            ) from None
    else:
        path = Path(given)
        if not path.is_file():
            raise SourceError(f"there is no file {given}", "name a .csv or .parquet file with the entity rows")
        try:
            if path.suffix == ".parquet":
                frame = pl.read_parquet(path, glob=False)
            else:
                frame = pl.read_csv(path, glob=False, schema_overrides=types)  # a code such as 007 stays as it is
        except (pl.exceptions.PolarsError, OSError) as error:
            raise SourceError(f"cannot read {given}: {error}", "write it as CSV with a header, or as Parquet") from None
    if frame.schema.get(TIMESTAMP) == pl.String:
        frame = frame.with_columns(_times(frame[TIMESTAMP]))
    return frame


def _times(texts: pl.Series) -> pl.Series:
    """ISO 8601 texts as times in UTC; a text without an offset is UTC, one without a time of day the day's beginning."""
    frame = texts.alias("text").str.strip_chars().to_frame()
    text = pl.col("text")
    zoned = text.str.replace("[zZ]$", "+00:00").str.replace(" ", "T")
    forms = [
        zoned.str.to_datetime(form, time_unit="us", time_zone="UTC", strict=False)
        for form in ("%Y-%m-%dT%H:%M:%S%.f%:z", "%Y-%m-%dT%H:%M%:z")
    ]
    naive = [
        zoned.str.to_datetime(form, time_unit="us", strict=False).dt.replace_time_zone("UTC")
        for form in ("%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M")
    ]
    day = text.str.to_date("%Y-%m-%d", strict=False).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    read = frame.with_columns(time=pl.coalesce(*forms, *naive, day))
    wrong = read.filter(pl.col("time").is_null() & text.is_not_null())
    if wrong.height:
        raise InvalidInputError(f"{wrong['text'][0]!r} is not a time", "write it as 2011-12-09T12:50:00Z (ISO 8601)")
    return read["time"].alias(TIMESTAMP)


def _write(frame: pl.DataFrame, out: Path) -> None:
    if out.suffix not in (".parquet", ".csv"):
        raise InvalidInputError(f"cannot tell the format of {out}", "end the name with .parquet or .csv")
    if out.suffix == ".csv" and any(dtype.is_nested() for dtype in frame.dtypes):
        raise InvalidInputError("a CSV file cannot hold list columns", "write .parquet instead")
    try:
        frame.write_parquet(out) if out.suffix == ".parquet" else frame.write_csv(out)
    except OSError as error:
        raise SourceError(
            f"cannot write {out}: {error.strerror or error}", "name a folder that exists and can be written"
        ) from None
