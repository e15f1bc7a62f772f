"""Training sets: entity rows in, the same rows with their features as of each row's own time out."""

from featurestore.training.historical import HistoricalJob, get_historical_features

__all__ = ["HistoricalJob", "get_historical_features"]
