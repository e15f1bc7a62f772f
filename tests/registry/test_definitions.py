"""Loading a project's modules."""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path

import pytest

from featurestore.core.errors import DefinitionError
from featurestore.registry.definitions import load_definitions
from tests.registry.conftest import HEAD, write_project

VIEW = 'spend = FeatureView(name="spend", entities=[customer], schema=[Field(name="total", dtype=Float64)], source=spend_source)\n'


def test_feast_objects_and_others_are_collected_once_each(tmp_path: Path) -> None:
    config = write_project(
        tmp_path,
        {
            "a.py": HEAD + VIEW + "class Thing: pass\nthing = Thing()\nsame = thing\n_private = Thing()\n",
            "b/c.py": "from a import customer, spend, thing\nother = 'text'\n",
        },
    )
    found = load_definitions(config)
    assert [v.name for v in found.contents.feature_views] == ["spend"]
    assert [e.name for e in found.contents.entities] == ["customer", "__dummy"]
    assert [s.name for s in found.contents.data_sources] == ["spend_source"]
    assert [p.name for p in found.contents.projects] == ["shop"]
    names = [name for name, _ in found.objects]
    assert names.count("same") + names.count("thing") == 1
    assert "other" in names
    assert "_private" not in names


def test_a_stream_source_brings_its_batch_source(tmp_path: Path) -> None:
    text = HEAD + 'push = PushSource(name="push", batch_source=FileSource(name="inner", path="x.parquet", timestamp_field="at"))\n'
    found = load_definitions(write_project(tmp_path, {"features.py": text}))
    assert [s.name for s in found.contents.data_sources] == ["push", "inner", "spend_source"]


def test_ignored_files_and_data_are_not_imported(tmp_path: Path) -> None:
    bad = "raise RuntimeError('imported')\n"
    config = write_project(
        tmp_path,
        {
            "features.py": HEAD,
            "skipped.py": bad,
            "old/x.py": bad,
            ".venv/x.py": bad,
            "data/raw/x.py": bad,
            "data/x.py": bad,
            "__init__.py": bad,
        },
    )
    (tmp_path / ".feastignore").write_text("skipped.py\nold  # a folder\n")
    assert [e.name for e in load_definitions(config).contents.entities] == ["customer", "__dummy"]


@pytest.mark.parametrize(
    ("modules", "says"),
    [
        ({"features.py": "x = 1\ndef f(:\n"}, r"features\.py:2: SyntaxError"),
        ({"features.py": "\n\nimport no_such_module\n"}, r"features\.py:3: ModuleNotFoundError: No module named 'no_such_module'"),
        ({"features.py": "1 / 0\n"}, r"features\.py:1: ZeroDivisionError"),
        ({"a.py": "import deep.b\n", "deep/b.py": "\nopen('nowhere')\n"}, r"deep/b\.py:2: FileNotFoundError"),
        ({"features.py": HEAD + "Entity(name='x', join_keys=['a', 'b'])\n"}, r"features\.py:\d+: ValueError: An entity may only"),
    ],
)
def test_an_error_names_file_and_line_and_keeps_its_cause(tmp_path: Path, modules: dict[str, str], says: str) -> None:
    with pytest.raises(DefinitionError, match=says) as raised:
        load_definitions(write_project(tmp_path, modules))
    assert raised.value.__cause__ is not None


def test_projects_with_modules_of_one_name_do_not_mix(tmp_path: Path) -> None:
    names = []
    for name in ("one", "two"):
        config = write_project(
            tmp_path / name,
            {
                "schemas/__init__.py": "",
                "schemas/retail.py": f"MARK = '{name}'\n",
                "features.py": f"from schemas.retail import MARK\nfrom feast import Entity\ne = Entity(name='{name}_' + MARK)\n",
            },
        )
        names.append([e.name for e in load_definitions(config).contents.entities])
    assert names == [["one_one", "__dummy"], ["two_two", "__dummy"]]


def test_an_edited_module_is_read_anew(tmp_path: Path) -> None:
    for value in ("1", "2", "3"):
        found = load_definitions(write_project(tmp_path, {"features.py": f"mark = 'v{value}'\n"}))
        assert found.objects == (("mark", f"v{value}"),)


def test_process_state_is_left_as_it_was(tmp_path: Path) -> None:
    config = write_project(tmp_path, {"features.py": "import os\nhere = os.getcwd()\n"})
    before = (os.getcwd(), list(sys.path), sys.dont_write_bytecode, list(warnings.filters))
    assert dict(load_definitions(config).objects)["here"] == str(tmp_path)
    with pytest.raises(DefinitionError):
        load_definitions(write_project(tmp_path, {"features.py": "1 / 0\n"}))
    assert (os.getcwd(), list(sys.path), sys.dont_write_bytecode, list(warnings.filters)) == before


def test_feasts_warnings_stay_in_and_the_users_come_out(tmp_path: Path) -> None:
    noisy = HEAD + "e = Entity(name='untyped')\nb = BatchFeatureView(name='b', source=spend_source)\n"
    load_definitions(write_project(tmp_path, {"features.py": noisy}))
    own = "import warnings\nwarnings.warn('mind this', DeprecationWarning)\n"
    with pytest.warns(DeprecationWarning, match="mind this"):
        load_definitions(write_project(tmp_path, {"features.py": own}))


def test_another_project_name_in_python_is_refused(tmp_path: Path) -> None:
    config = write_project(tmp_path, {"features.py": "from feast import Project\np = Project(name='other')\n"})
    with pytest.raises(DefinitionError, match=r"shop .*other"):
        load_definitions(config)


@pytest.mark.parametrize("name", ["json.py", "feast/x.py", "featurestore/x.py"])
def test_a_module_that_would_hide_another_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DefinitionError, match="rename it"):
        load_definitions(write_project(tmp_path, {name: ""}))
