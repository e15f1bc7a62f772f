"""A project's configuration as a frozen value; reading feature_store.yaml into it is the registry room's work."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ProjectConfig:
    """Where a project keeps its things. Every path is absolute.

    `notice` is what a user should be told once about how a stock Feast configuration was read; empty for ours.
    """

    root: Path
    project: str
    registry: Path
    online: Path
    notice: str = ""

    @property
    def data(self) -> Path:
        """The folder that holds everything the store writes: the registry file's own."""
        return self.registry.parent

    @property
    def catalog(self) -> Path:
        """The compiled catalog, which the server and the jobs read instead of the registry."""
        return self.data / "catalog.json"

    @property
    def offline(self) -> Path:
        """Published tables, one Delta table a folder."""
        return self.data / "offline"

    @property
    def quarantine(self) -> Path:
        """Refused rows, one folder a table."""
        return self.data / "quarantine"

    @property
    def ledger(self) -> Path:
        """What each preparation run did, one folder a table."""
        return self.data / "ledger"
