"""Making a new project from the reference one."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import yaml

from featurestore.core.errors import InvalidInputError, StoreError
from featurestore.reference import copy_project
from featurestore.reference.project import project_name


def test_a_new_project_has_settings_definitions_contracts_and_a_place_for_raw_files(tmp_path: Path) -> None:
    root = copy_project(tmp_path / "My shop")
    assert root == (tmp_path / "My shop").resolve()
    assert sorted(str(path.relative_to(root)) for path in root.rglob("*")) == [
        "data", "data/raw", "feature_store.yaml", "features.py", "schemas", "schemas/__init__.py", "schemas/retail.py",
    ]  # fmt: skip
    settings = yaml.safe_load((root / "feature_store.yaml").read_text())
    assert settings["project"] == "My_shop"
    assert settings["online_store"] == {"type": "featurestore.feast_plugin.LmdbOnlineStore", "path": "data/online"}
    assert settings["registry"] == "data/registry.db"
    ast.parse((root / "features.py").read_text())


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    assert (copy_project(tmp_path) / "features.py").is_file()


def test_a_folder_with_anything_in_it_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InvalidInputError, match="not an empty folder; name a new folder"):
        copy_project(tmp_path)
    with pytest.raises(InvalidInputError, match="not an empty folder"):
        copy_project(tmp_path / "notes.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_folder_below_a_file_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="cannot write"):
        copy_project(tmp_path / "file" / "shop")


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("retail", "retail"), ("my-shop 2", "my_shop_2"), ("_hidden", "hidden"), ("2011", "project_2011"), ("été", "t"), ("...", "retail"),
    ],
)  # fmt: skip
def test_a_projects_name_is_its_folders_in_feasts_alphabet(folder: str, name: str) -> None:
    assert project_name(folder) == name


@pytest.mark.parametrize("folder", ["on", "null", "1e5"])
def test_a_name_that_means_something_else_in_yaml_stays_a_name(tmp_path: Path, folder: str) -> None:
    settings = yaml.safe_load((copy_project(tmp_path / folder) / "feature_store.yaml").read_text())
    assert settings["project"] == project_name(folder)
