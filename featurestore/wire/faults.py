"""How an error of ours travels beside its gRPC status, so that a client raises what the server raised."""

from __future__ import annotations

import json

from featurestore.core.errors import FeatureStoreError, InvalidInputError, UnknownNameError

TRAILER = "featurestore-error-bin"
"""The key of the trailing metadata that `to_trailer` fills. Clients that do not know it lose nothing but the class."""

LONGEST_MESSAGE = 1000
LONGEST_TRAILER = 3000
"""Bytes of a status message and of a trailer. A message's bytes may take three each and a trailer's four thirds on the way; the
two must stay below the 8 KiB of headers above which gRPC may drop an answer."""


def to_message(error: FeatureStoreError) -> str:
    """The error's text, cut to what a status message may hold."""
    return _cut(str(error), LONGEST_MESSAGE)


def to_trailer(error: FeatureStoreError) -> bytes:
    """The error's class and parts as UTF-8 JSON, long texts cut; its class alone where that is still too long."""
    parts: dict[str, object] = {"class": type(error).__name__}
    if isinstance(error, UnknownNameError):
        details: dict[str, object] = {"kind": _cut(error.kind, 500), "name": _cut(error.name, 500), "choices": error.choices}
    else:
        details = {"cause": _cut(error.cause, 1500), "remedy": _cut(error.remedy, 1000)}
    data = json.dumps(parts | details, ensure_ascii=False).encode()
    return data if len(data) <= LONGEST_TRAILER else json.dumps(parts).encode()


def from_trailer(data: bytes) -> FeatureStoreError | None:
    """The error `to_trailer` described, where it was the caller's fault; of any other, or of unreadable bytes, None."""
    try:
        parts = json.loads(data)
        match parts["class"]:
            case "InvalidInputError":
                return InvalidInputError(parts["cause"], parts["remedy"])
            case "UnknownNameError":
                return UnknownNameError(parts["kind"], parts["name"], parts["choices"])
            case _:
                return None
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _cut(text: str, most: int) -> str:
    """The text, or as much of it as `most` bytes of UTF-8 hold, an ellipsis included."""
    data = text.encode()
    return text if len(data) <= most else data[: most - 3].decode(errors="ignore") + "..."
