"""FLOW offline -> online: the latest row of each key in an interval, packed and published as one generation of the online store."""

from featurestore.materialization.report import MaterializeReport, ViewReport
from featurestore.materialization.run import materialize, materialize_incremental

__all__ = ["MaterializeReport", "ViewReport", "materialize", "materialize_incremental"]
