"""The reference project (online retail), its generator of raw files, and the demo that takes them all the way to gRPC lookups."""

from featurestore.reference.generate import generate_raw
from featurestore.reference.project import copy_project

__all__ = ["copy_project", "generate_raw"]
