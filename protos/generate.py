"""Write the Python code of the .proto files to featurestore/wire/gen; with --check, say whether it is current and write nothing."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

PROTOS = Path(__file__).resolve().parent
GENERATED = PROTOS.parent / "featurestore" / "wire" / "gen"
PACKAGE = "featurestore.wire.gen"
POOL_IMPORT = "from featurestore.wire.pool import POOL"
PACKAGE_DOCSTRING = '"""Generated protobuf code; `make protos` writes it."""\n'


def main() -> int:
    """0: written, or current; 1: stale, or protoc refused a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare with what is there, and write nothing")
    check: bool = parser.parse_args().check
    try:
        wanted = generate()
    except subprocess.CalledProcessError as error:
        print(f"protoc refused the .proto files:\n{error.stderr}", file=sys.stderr)
        return 1
    present = {str(p.relative_to(GENERATED)): p.read_text() for p in GENERATED.rglob("*.py*") if "__pycache__" not in p.parts}
    stale = sorted(name for name in wanted.keys() | present.keys() if wanted.get(name) != present.get(name))
    if check:
        if stale:
            print(f"featurestore/wire/gen is not what protos/ says ({', '.join(stale)}); run `make protos`", file=sys.stderr)
        return 1 if stale else 0
    for name in present.keys() - wanted.keys():
        (GENERATED / name).unlink()
    for name, text in wanted.items():
        target = GENERATED / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    print(f"{len(wanted)} files in featurestore/wire/gen, {len(stale)} changed")
    return 0


def generate() -> dict[str, str]:
    """The text of every generated file, by its path below featurestore/wire/gen."""
    sources = sorted(str(p.relative_to(PROTOS)) for p in PROTOS.rglob("*.proto"))
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTOS}", f"--python_out={out}", f"--pyi_out={out}", *sources]
        subprocess.run(command, check=True, capture_output=True, text=True)
        files = {str(p.relative_to(out)): _private(p) for p in sorted(out.rglob("*.py*"))}
    folders = {Path(), *(parent for name in files for parent in Path(name).parents)}
    return files | {str(folder / "__init__.py"): PACKAGE_DOCSTRING for folder in folders}


def _private(path: Path) -> str:
    """The generated text, moved into our package and our own descriptor pool.

    The pool of the process knows one file of each name. Feast's code registers the same names there, so ours keeps its own.
    """
    text = re.sub(r"^from feast\.", f"from {PACKAGE}.feast.", path.read_text(), flags=re.MULTILINE)
    text = text.replace("_descriptor_pool.Default()", "POOL")
    if path.suffix == ".py":
        text = text.replace("from google.protobuf import descriptor_pool as _descriptor_pool", POOL_IMPORT)
        if "_descriptor_pool" in text:
            raise AssertionError(f"{path.name} still uses the process's descriptor pool: protoc writes other code than it did")
    return text


if __name__ == "__main__":
    sys.exit(main())
