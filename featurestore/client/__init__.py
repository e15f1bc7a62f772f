"""A thin client of a running server: deadlines on every call, errors as this package's own, and no heavy import."""

from featurestore.client.answer import OnlineFeatures
from featurestore.client.client import Client

__all__ = ["Client", "OnlineFeatures"]
