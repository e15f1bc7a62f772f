"""Makes a new project: a copy of the reference one under the new folder's name."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from featurestore.core.errors import InvalidInputError, StoreError

_HERE = Path(__file__).parent
_TEMPLATE = _HERE / "project"
_SCHEMAS = (_HERE / "schemas", _HERE.parents[1] / "schemas")
"""Where the contracts are: beside this module in an installed package, at the repository's top in a checkout."""

_PROJECT_LINE = re.compile(r"^project: .*$", re.MULTILINE)


def copy_project(destination: Path) -> Path:
    """Make a project of the online retail definitions in `destination`, named after that folder. Returns the absolute path.

    Raises:
        InvalidInputError: the folder holds something already, or is a file.
        StoreError: it cannot be written.
    """
    root = destination.resolve()
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise InvalidInputError(f"{destination} exists and is not an empty folder", "name a new folder")
    try:
        (root / "data" / "raw").mkdir(parents=True)
        (root / "schemas").mkdir()
        for file in sorted(_schemas().glob("*.py")):
            shutil.copyfile(file, root / "schemas" / file.name)
        shutil.copyfile(_TEMPLATE / "features.py", root / "features.py")
        settings = (_TEMPLATE / "feature_store.yaml").read_text(encoding="utf-8")
        settings = _PROJECT_LINE.sub(f'project: "{project_name(root.name)}"', settings)  # quoted: "on" is a name too
        (root / "feature_store.yaml").write_text(settings, encoding="utf-8")
    except OSError as error:
        raise StoreError(f"cannot write {destination}: {error.strerror or error}", "name a folder that can be written") from error
    return root


def project_name(folder: str) -> str:
    """A folder's name as a project's: ASCII letters, digits and underscores, a letter first ("retail" where none is left)."""
    name = re.sub(r"[^A-Za-z0-9]+", "_", folder).strip("_")
    if not name:
        return "retail"
    return name if name[0].isalpha() else f"project_{name}"


def _schemas() -> Path:
    return next(folder for folder in _SCHEMAS if folder.is_dir())
