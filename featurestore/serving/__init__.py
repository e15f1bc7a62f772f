"""The servers: a request's bytes to the features' bytes, from the compiled catalog and the online store."""

from featurestore.serving.lookup import Answer, Lookup
from featurestore.serving.server import Server, serve

__all__ = ["Answer", "Lookup", "Server", "serve"]
