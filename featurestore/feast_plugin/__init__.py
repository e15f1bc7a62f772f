"""Feast's plugin classes over our stores, so that stock Feast runs on a project of ours; named in feature_store.yaml."""

from featurestore.feast_plugin.offline_store import DeltaOfflineStore, DeltaOfflineStoreConfig
from featurestore.feast_plugin.online_store import LmdbOnlineStore, LmdbOnlineStoreConfig

__all__ = ["DeltaOfflineStore", "DeltaOfflineStoreConfig", "LmdbOnlineStore", "LmdbOnlineStoreConfig"]
