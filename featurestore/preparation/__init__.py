"""From sources through cleaning and validation to published tables: every row accepted, quarantined, deduplicated or dropped by name."""

from featurestore.preparation.project_tables import ProjectTables, collect
from featurestore.preparation.quarantine import Quarantine
from featurestore.preparation.run import RunReport, TableReport, prepare
from featurestore.preparation.tables import Table, spec, sql_table, table

__all__ = ["ProjectTables", "Quarantine", "RunReport", "Table", "TableReport", "collect", "prepare", "spec", "sql_table", "table"]
