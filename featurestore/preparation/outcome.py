"""What a preparation job found out, whole and in memory, before anything of it is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from featurestore.core.fates import Fates
from featurestore.preparation.ledger import LedgerFile, Mode, Origin, Refusals


@dataclass(frozen=True)
class Outcome:
    """A job's result. `accepted` has the contract's columns in the published types; `quarantined` is as `quarantine.SCHEMA` has it,
    but for run and table. `message` is for people, empty where there is nothing to say."""

    mode: Mode
    origin: Origin
    files: tuple[LedgerFile, ...]
    inputs: Mapping[str, str]
    fates: Fates
    accepted: pl.DataFrame
    quarantined: pl.DataFrame
    reasons: tuple[Refusals, ...]
    dropped_by_rule: Mapping[str, int]
    message: str = ""


@dataclass(frozen=True)
class Skipped:
    """There was nothing to do; `message` says why."""

    message: str
