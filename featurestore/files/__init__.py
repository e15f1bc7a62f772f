"""Durable file work that several rooms need: whole-file replacement, locks between processes, and named kill points."""

from featurestore.files.durable import sync_folder, write_whole
from featurestore.files.kill import kill_point
from featurestore.files.lock import exclusive

__all__ = ["exclusive", "kill_point", "sync_folder", "write_whole"]
