"""What the README tells a reader to run is run here, and what it shows of Python is compiled and defined."""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from featurestore.cli.app import _MODULES
from tests.shop import write_shop

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def test_the_walk_through_a_project_of_ones_own(tmp_path: Path) -> None:
    """Every line of the block that begins with `featurestore init`, in its order; on a free port in place of the one named."""
    (script,) = [block for block in blocks("sh") if block.startswith("featurestore init")]
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    folder, servers, said = tmp_path, [], {}
    try:
        for line in script.replace("6566", str(free_port())).splitlines():
            if line.startswith("cd "):
                folder /= line.removeprefix("cd ")
            elif line.endswith("&"):
                server = subprocess.Popen(
                    shlex.split(line.removesuffix("&")), cwd=folder, env=environment, stdout=subprocess.PIPE, text=True
                )
                servers.append(server)
                assert server.stdout is not None
                assert "serving on 127.0.0.1:" in server.stdout.readline()
            else:
                done = subprocess.run(
                    shlex.split(line), cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=120
                )
                assert done.returncode == 0, (line, done.stderr)
                said[line.split()[1]] = done.stderr
    finally:
        for server in servers:
            server.terminate()
            server.communicate(timeout=30)
    assert servers[0].returncode == 0
    assert "created" in said["plan"]
    assert "greater_than" in said["quarantine"]
    assert "customer_profile" in said["materialize"]
    for lookup in ("get-historical-features", "get-online-features"):
        assert "spend_total" in said[lookup]
        assert "NOT_FOUND" not in said[lookup]
        assert "spend_total          null" not in said[lookup]


def test_the_definitions_shown_are_those_of_a_project_that_works(tmp_path: Path) -> None:
    definitions = next(block for block in blocks("python") if "@fs.table" in block)
    contracts = next(block for block in blocks("python") if "DataFrameModel" in block)
    features = definitions.replace("max_quarantined=0.05", "max_quarantined=0.5")
    project = write_shop(tmp_path / "shop", features=features, contracts=contracts)
    (project / "feature_store.yaml").write_text(blocks("yaml")[0])
    command = [sys.executable, "-m", "featurestore"]
    for arguments in (["apply"], ["prepare"]):
        done = subprocess.run(
            [*command, *arguments, "-c", str(project), "--json"], capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, done.stderr
    assert [table["table"] for table in json.loads(done.stdout)["tables"]] == ["sales", "buyer_days"]


def test_every_python_block_compiles() -> None:
    for block in blocks("python"):
        compile(block, "README.md", "exec")


@pytest.mark.parametrize("command", _MODULES)
def test_every_command_is_named_in_the_documents(command: str) -> None:
    assert command in README + (ROOT / "ARCHITECTURE.md").read_text()
