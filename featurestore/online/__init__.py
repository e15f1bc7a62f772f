"""The online store: packed rows by key, the newest row of each, published whole by generations and read in batches."""

from featurestore.online.keys import encode_keys
from featurestore.online.lmdb import LmdbStore
from featurestore.online.rows import NO_CREATED_TIME, RowCodec, Rows, header_times
from featurestore.online.store import OnlineStore, Publication, Snapshot, ViewState

__all__ = [
    "NO_CREATED_TIME",
    "LmdbStore",
    "OnlineStore",
    "Publication",
    "RowCodec",
    "Rows",
    "Snapshot",
    "ViewState",
    "encode_keys",
    "header_times",
]
