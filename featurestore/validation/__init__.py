"""Contracts: what a table's rows must be, compiled from pandera models to Polars expressions that judge each row by itself."""

from featurestore.validation.compile import compile_contract
from featurestore.validation.contract import Contract, ContractColumn, Rule
from featurestore.validation.dtypes import as_text
from featurestore.validation.judge import judge
from featurestore.validation.reasons import reasons
from featurestore.validation.schema import check_schema

__all__ = ["Contract", "ContractColumn", "Rule", "as_text", "check_schema", "compile_contract", "judge", "reasons"]
