"""Published tables as Delta Lake tables: numbered publications that happen whole or not at all, and what readers need of them."""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import unquote

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, Schema, Transaction
from deltalake.exceptions import DeltaError, TableNotFoundError
from deltalake.transaction import AddAction, create_table_with_add_actions

from featurestore.core.errors import CorruptDataError, StoreError
from featurestore.files import sync_folder

Mode = Literal["append", "overwrite"]

APP = "featurestore"
"""The application id under which a publication's number is kept in the Delta log."""

ROW_GROUP = 131_072
"""Rows in a Parquet row group: what a reader can skip, or give to one thread."""


_REMEDY = "remove the folder {} and run `featurestore prepare`, or put its files back"


@dataclass(frozen=True, slots=True)
class Published:
    """One version of a table, as its log has it. `number` is the publication's, 0 where another tool made the table.

    `identity` tells this version of this table from any other, also from one of a table that was removed and made again.
    """

    path: Path
    version: int
    number: int
    schema: pa.Schema
    files: tuple[Path, ...]
    identity: str

    def scan(self) -> pl.LazyFrame:
        """The rows of this very version, whatever is published after."""
        if not self.files:
            return pl.DataFrame(self.schema.empty_table()).lazy()
        return pl.scan_parquet(list(self.files), glob=False)

    def check_content(self) -> None:
        """See that each file holds the bytes that its name promises: what to ask when reading one has failed.

        Raises:
            CorruptDataError: one does not, or cannot be read.
        """
        for path in self.files:
            promised = re.fullmatch(r"\d+-([0-9a-f]{64})\.parquet", path.name)  # other tools name their files otherwise
            try:
                with path.open("rb") as file:
                    found = hashlib.file_digest(file, "sha256").hexdigest()
            except OSError as error:
                raise CorruptDataError(f"{path} cannot be read: {error.strerror}", _REMEDY.format(self.path)) from error
            if promised and promised[1] != found:
                raise CorruptDataError(f"{path} is damaged: its bytes do not fit the digest in its name", _REMEDY.format(self.path))


def opened(path: Path) -> Published | None:
    """The newest version of the table in folder `path`; None where no table has been published.

    Raises:
        CorruptDataError: the log cannot be read, a data file that it names is missing or has another size, or another tool has
            changed the table to need more than its Parquet files.
        StoreError: the path holds a % that the Delta library would take for a quoted character.
    """
    try:
        table = DeltaTable(_uri(path))
        actions = pa.table(table.get_add_actions()).select(["path", "size_bytes"]).to_pylist()
        number = table.transaction_version(APP) or 0
        schema = pa.schema(table.schema().to_arrow())
        identity = f"{table.metadata().id}@{table.version()}"
        plain = table.protocol().min_reader_version == 1 and not table.metadata().partition_columns
    except TableNotFoundError:
        return None
    except (DeltaError, OSError, ValueError) as error:
        raise CorruptDataError(f"the table in {path} cannot be read: {_line(error)}", _REMEDY.format(path)) from error
    if not plain:
        raise CorruptDataError(f"the table in {path} is partitioned or uses newer features than we write", _REMEDY.format(path))
    # The log quotes paths as URLs. Its own list of absolute ones quotes the folder too, which no reader undoes: hence relative.
    sizes = {path / unquote(action["path"]): action["size_bytes"] for action in actions}
    for file, size in sizes.items():  # files, never rows
        try:
            found = file.stat().st_size
        except OSError as error:
            raise CorruptDataError(f"{file} belongs to a table and is missing", _REMEDY.format(path)) from error
        if found != size:
            cause = f"{file} holds {found:,} bytes where its table's log says {size:,}"
            raise CorruptDataError(cause, _REMEDY.format(path))
    return Published(path, int(table.version()), number, schema, tuple(sorted(sizes)), identity)


def committed(path: Path) -> int:
    """The number of the last publication, 0 where there is none. CorruptDataError as `opened`."""
    table = opened(path)
    return table.number if table else 0


def version(path: Path) -> int | None:
    """The table's Delta version; None where there is no table. CorruptDataError as `opened`."""
    table = opened(path)
    return table.version if table else None


def publish(path: Path, data: pa.Table | pa.RecordBatchReader, *, mode: Mode, number: int, run_id: str) -> int:
    """Append `data` to the table in folder `path`, or replace its content and schema; returns the new Delta version.

    The rows go to one Parquet file, flushed to the disk and named by `number` and its SHA-256. Then one commit to the log makes
    rows and `number` visible together. `data` may hold no rows: the number is committed all the same.

    Raises:
        StoreError: the disk is full, the folder cannot be written, or another tool wrote at the same time. The table is as before.
        CorruptDataError: as `opened`.
    """
    before = opened(path)
    properties = CommitProperties(custom_metadata={"run_id": run_id}, app_transactions=[Transaction(APP, number)])
    schema = Schema.from_arrow(data.schema)
    try:
        actions = _write_rows(path, data, number)
        if before is None:
            create_table_with_add_actions(_uri(path), schema, actions, commit_properties=properties)
        else:
            DeltaTable(_uri(path), version=before.version).create_write_transaction(
                actions, mode, schema, commit_properties=properties
            )
        version = 0 if before is None else before.version + 1
        _flush(path / "_delta_log" / f"{version:020}.json")
    except (DeltaError, OSError) as error:
        remedy = "free space or rights there, then run again: the table is as it was"
        raise StoreError(f"cannot publish to {path}: {_line(error)}", remedy) from error
    return version


def _write_rows(path: Path, data: pa.Table | pa.RecordBatchReader, number: int) -> list[AddAction]:
    """Write the rows as one durable file. Parquet is written here and not by the Delta writer, which flushes nothing, and whose
    threads panic when the disk is full."""
    path.mkdir(parents=True, exist_ok=True)
    unfinished = path / f".{number:08d}.unfinished"  # a killed run's is overwritten by the next
    rows = 0
    try:
        with pq.ParquetWriter(unfinished, data.schema, compression="zstd") as writer:
            for batch in data if isinstance(data, pa.RecordBatchReader) else data.to_batches(max_chunksize=ROW_GROUP):
                writer.write_batch(batch, row_group_size=ROW_GROUP)
                rows += batch.num_rows
        if not rows:
            unfinished.unlink()
            return []
        with unfinished.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            os.fsync(file.fileno())
        name = f"{number:08d}-{digest}.parquet"
        os.replace(unfinished, path / name)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    sync_folder(path)
    written = (path / name).stat()
    return [AddAction(name, written.st_size, {}, int(written.st_mtime * 1000), True, json.dumps({"numRecords": rows}))]


def _flush(file: Path) -> None:
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    sync_folder(file.parent)


def _uri(path: Path) -> str:
    """The folder as a URL: the library takes a bare path for one that is half quoted."""
    quoted_already = re.search(r"%[0-9A-Fa-f]{2}", str(path.absolute()))
    if quoted_already:  # it would be unquoted twice, so that the table came to stand in another folder
        raise StoreError(f"no table can be kept in {path.absolute()}: {quoted_already[0]} in a folder's name", "rename that folder")
    return path.absolute().as_uri()


def _line(error: Exception) -> str:
    """The first line of a foreign message: the library appends its own backtrace."""
    return str(error).partition("\n")[0]
