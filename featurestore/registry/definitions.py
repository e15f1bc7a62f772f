"""A project's Python modules, imported by Feast's rules, and the objects found in them."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from feast import BatchFeatureView, Entity, FeatureService, FeatureView, OnDemandFeatureView, Project, PushSource, StreamFeatureView
from feast.data_source import DataSource, KafkaSource, KinesisSource
from feast.feature_view import DUMMY_ENTITY
from feast.labeling.label_view import LabelView
from feast.permissions.permission import Permission
from feast.repo_contents import RepoContents
from feast.repo_operations import get_ignore_files, read_feastignore

from featurestore.core.config import ProjectConfig
from featurestore.core.errors import DefinitionError, FeatureStoreError

_IGNORED = (".git", ".feastignore", ".venv", "**/.ipynb_checkpoints", "**/.pytest_cache", "**/__pycache__")
_TAKEN = sys.stdlib_module_names | {"feast", "featurestore"}
_LOADING = threading.Lock()


@dataclass(frozen=True)
class Definitions:
    """What a project's modules define.

    `contents` holds Feast's objects in Feast's own container. `objects` holds every other public module-level object as
    (its name, the object), each object once, in the order of modules and names.
    """

    contents: RepoContents
    objects: tuple[tuple[str, Any], ...]


def load_definitions(config: ProjectConfig) -> Definitions:
    """Import all modules of the project afresh and collect what they define.

    Every .py file under the root is a module, but for `__init__.py`, what .feastignore names, and the folders of data. While
    they are imported the working directory and the first place on sys.path are the project's root; afterwards both are as before.

    Raises:
        DefinitionError: a module cannot be imported, or the project has another name in Python than in feature_store.yaml.
    """
    files = _module_files(config)
    with _LOADING, _importing_from(config.root, files):
        modules = [_import(path, config.root) for path in files]
    contents, objects = _collect(modules)
    names = [project.name for project in contents.projects]
    if not names:
        contents.projects.append(Project(name=config.project))
    elif names != [config.project]:
        raise DefinitionError(
            f"the project is called {config.project} in feature_store.yaml and {', '.join(names)} in Python",
            "define one Project of that name, or none",
        )
    contents.entities.append(DUMMY_ENTITY)
    return Definitions(contents, objects)


@contextlib.contextmanager
def quiet_feast() -> Iterator[None]:
    """Keep to itself what Feast has to say about its own experimental parts; warnings of anyone else pass."""
    with warnings.catch_warnings():
        for category in (RuntimeWarning, DeprecationWarning, FutureWarning, UserWarning):
            warnings.filterwarnings("ignore", category=category, module=r"feast(\.|$)")
        # This one Feast lays at the door of the line that makes the entity.
        warnings.filterwarnings("ignore", "Entity value_type will be mandatory", DeprecationWarning)
        yield


def _module_files(config: ProjectConfig) -> list[Path]:
    root = config.root
    data = {root / "data", config.online, config.offline, config.quarantine, config.ledger}
    ignored = get_ignore_files(root, [*read_feastignore(root), *_IGNORED])
    found = []
    for folder, folders, names in os.walk(root):
        here = Path(folder)
        folders[:] = [name for name in folders if here / name not in data and name not in (".git", ".venv", "__pycache__")]
        found += [here / name for name in names if name.endswith(".py") and name != "__init__.py"]
    return sorted(path for path in found if path.resolve() not in ignored)


@contextlib.contextmanager
def _importing_from(root: Path, files: list[Path]) -> Iterator[None]:
    """Make `root` the first place to import from, with nothing imported earlier in the way of the project's own modules."""
    own = {path.relative_to(root).parts[0].removesuffix(".py") for path in files} | {
        p.parent.name for p in root.glob("*/__init__.py")
    }
    taken = sorted(own & _TAKEN)
    if taken:
        raise DefinitionError(f"the project's module {taken[0]} has the name of one that Python or this package needs", "rename it")
    for name in [name for name in sys.modules if name.partition(".")[0] in own]:
        del sys.modules[name]
    importlib.invalidate_caches()
    path_before, bytecode_before = list(sys.path), sys.dont_write_bytecode
    # Bytecode is told apart by the second and the size of its source, so an edit may be missed; Feast writes none either.
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(root))
    try:
        with contextlib.chdir(root), quiet_feast():
            yield
    finally:
        sys.path[:] = path_before
        sys.dont_write_bytecode = bytecode_before


def _import(path: Path, root: Path) -> ModuleType:
    name = ".".join(path.relative_to(root).with_suffix("").parts)
    try:
        with contextlib.redirect_stdout(sys.stderr):  # stdout is for results
            return importlib.import_module(name)
    except FeatureStoreError as error:
        raise DefinitionError(f"{_place(error, path, root)}: {error.cause}", error.remedy) from error
    # The user's module may raise anything at all, or exit.
    except (Exception, SystemExit) as error:
        text = error.msg if isinstance(error, SyntaxError) else str(error)
        raise DefinitionError(f"{_place(error, path, root)}: {type(error).__name__}: {text}", "mend that line") from error


def _place(error: BaseException, path: Path, root: Path) -> str:
    """`file:line`, relative to the project, of the innermost of its own lines that the error came through."""
    file, line = path, None
    if isinstance(error, SyntaxError) and error.filename:
        file, line = Path(error.filename), error.lineno
    else:
        frames = error.__traceback__
        while frames is not None:
            where = Path(frames.tb_frame.f_code.co_filename)
            if where.is_relative_to(root):
                file, line = where, frames.tb_lineno
            frames = frames.tb_next
    shown = file.relative_to(root) if file.is_relative_to(root) else file
    return f"{shown}:{line}" if line else str(shown)


def _collect(modules: list[ModuleType]) -> tuple[RepoContents, tuple[tuple[str, Any], ...]]:
    contents = RepoContents([], [], [], [], [], [], [], [], [])
    others: list[tuple[str, Any]] = []
    seen: set[int] = set()
    for module in modules:
        for name in dir(module):
            value = getattr(module, name)
            if id(value) in seen or name.startswith("__"):
                continue
            seen.add(id(value))
            home = _home(contents, value)
            if home is not None:
                home.append(value)
                for source in _sources(value):
                    if not any(source is known for known in contents.data_sources):
                        seen.add(id(source))
                        contents.data_sources.append(source)
            elif not name.startswith("_") and not isinstance(value, ModuleType):
                others.append((name, value))
    return contents, tuple(others)


def _home(contents: RepoContents, value: Any) -> list[Any] | None:
    """The list of `contents` for a Feast object; None for any other object."""
    homes: tuple[tuple[type, list[Any]], ...] = (
        (DataSource, contents.data_sources),
        (StreamFeatureView, contents.stream_feature_views),
        (BatchFeatureView, contents.feature_views),
        (FeatureView, contents.feature_views),
        (LabelView, contents.label_views),
        (OnDemandFeatureView, contents.on_demand_feature_views),
        (Entity, contents.entities),
        (FeatureService, contents.feature_services),
        (Permission, contents.permissions),
        (Project, contents.projects),
    )
    return next((home for kind, home in homes if isinstance(value, kind)), None)


def _sources(value: Any) -> list[DataSource]:
    """The data sources that come with an object: a view's, and a stream source's batch source."""
    if isinstance(value, (PushSource, KafkaSource, KinesisSource)):
        found = [value.batch_source]
    elif isinstance(value, FeatureView):
        found = [value.batch_source, value.stream_source]
    elif isinstance(value, LabelView):
        found = [value.source, value.batch_source]
    else:
        found = []
    return [source for source in found if source is not None]
