"""The errors of the package: one root, one class per cause, each message ending with the way out."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class FeatureStoreError(Exception):
    """Anything the package refuses or could not do. `str()` is one line: the cause, then the remedy."""

    def __init__(self, cause: str, remedy: str = "") -> None:
        self.cause = " ".join(cause.split())
        self.remedy = " ".join(remedy.split())
        super().__init__(f"{self.cause}; {self.remedy}" if self.remedy else self.cause)


class ConfigError(FeatureStoreError):
    """feature_store.yaml is missing, malformed or asks for what is not supported. Edit that file."""


class DefinitionError(FeatureStoreError):
    """The project's Python definitions contradict themselves or their sources. Edit the definitions."""


class SourceError(FeatureStoreError):
    """Input data is missing, unreadable or of another shape than declared. Mend or replace the input."""


class TransformError(FeatureStoreError):
    """A user's table function raised, or returned something else than its contract says. Mend the function."""


class QuarantineLimitError(FeatureStoreError):
    """More rows were refused than the table's `max_quarantined` allows; nothing was published. Look at the reasons."""


class InvalidInputError(FeatureStoreError):
    """The caller's arguments are wrong: types, ranges, missing keys (gRPC: INVALID_ARGUMENT). Correct the call."""


class UnknownNameError(FeatureStoreError):
    """A view, feature, service, entity or table of that name does not exist (gRPC: NOT_FOUND). Use a name it offers."""

    def __init__(self, kind: str, name: str, choices: Iterable[str]) -> None:
        self.kind, self.name = kind, name
        self.choices = nearest(name, choices)
        offer = f"did you mean {', '.join(self.choices)}?" if self.choices else f"there is no {kind} yet: run `featurestore apply`"
        super().__init__(f"unknown {kind} {name!r}", offer)


class NotMaterializedError(FeatureStoreError):
    """A store, table or catalog that is needed has not been written yet. Run the command the message names."""


class CorruptDataError(FeatureStoreError):
    """Stored bytes fail their checksum or format (gRPC: DATA_LOSS). Materialize or prepare again."""


class StoreError(FeatureStoreError):
    """The disk, the store or the port refused an operation (gRPC: UNAVAILABLE). Free the resource, then run again."""


class BusyError(FeatureStoreError):
    """Another process holds the lock for this job. Wait for it, or stop it."""


class RemoteError(FeatureStoreError):
    """A server could not be reached, or answered with an error. `code` is the gRPC status name."""

    def __init__(self, cause: str, remedy: str = "", *, code: str = "UNKNOWN") -> None:
        self.code = code
        super().__init__(cause, remedy)


def nearest(name: str, choices: Iterable[str], most: int = 3) -> tuple[str, ...]:
    """Up to `most` of the choices, the likeliest meant first; the first ones in order where none is alike."""
    known = sorted(set(choices))
    return tuple(get_close_matches(name, known, n=most, cutoff=0.4)) or tuple(known[:most])
