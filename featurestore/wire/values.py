"""The value codec in one place: columns to and from `feast.types.Value` messages and Python objects."""

from featurestore.wire.decoding import column_from_values, dtype_of
from featurestore.wire.encoding import encode_cells, encode_columns, encode_values
from featurestore.wire.python import column_from_python, column_to_python

__all__ = [
    "column_from_python",
    "column_from_values",
    "column_to_python",
    "dtype_of",
    "encode_cells",
    "encode_columns",
    "encode_values",
]
