"""How an error of ours travels beside its gRPC status, so that a client raises what the server raised."""

from __future__ import annotations

import json

from featurestore.core.errors import FeatureStoreError, InvalidInputError, UnknownNameError

TRAILER = "featurestore-error-bin"
"""The key of the trailing metadata that `to_trailer` fills. Clients that do not know it lose nothing but the class."""

LONGEST = 1000
"""Characters kept of any text: gRPC limits headers to 8 KiB."""


def to_trailer(error: FeatureStoreError) -> bytes:
    """The error's class and parts as UTF-8 JSON, long texts cut."""
    parts: dict[str, object] = {"class": type(error).__name__, "cause": error.cause[:LONGEST], "remedy": error.remedy[:LONGEST]}
    if isinstance(error, UnknownNameError):
        parts |= {"kind": error.kind, "name": error.name[:LONGEST], "choices": [choice[:LONGEST] for choice in error.choices]}
    return json.dumps(parts, ensure_ascii=False).encode()


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
