"""The `featurestore` command: one file a command group, each a few lines over a room."""

from featurestore.cli.app import main

__all__ = ["main"]
