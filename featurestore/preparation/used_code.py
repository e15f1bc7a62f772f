"""What a table's function uses of its project's own modules: functions and constants, found by name from the code itself."""

from __future__ import annotations

import hashlib
import inspect
import re
import sys
import sysconfig
from collections.abc import Callable, Iterator, Mapping
from datetime import date, time, timedelta, tzinfo
from decimal import Decimal
from pathlib import Path, PurePath
from types import CodeType, FunctionType, ModuleType
from typing import Any

import polars as pl

_PLAIN = (bool, int, float, complex, str, bytes, type(None), date, time, timedelta, tzinfo, Decimal, PurePath, pl.DataType)
_INSTALLED = tuple(Path(sysconfig.get_path(kind)).resolve() for kind in ("stdlib", "purelib", "platlib"))


def used_code(function: Callable[..., Any]) -> list[str]:
    """A line for each function, class and constant of the project's modules that `function` refers to, directly or through others.

    Names are followed through functions, their closures and defaults, and through the project's modules. Of other objects the type
    counts alone, since they have no text that is the same in each process. Installed packages are left out.
    """
    found: dict[str, str] = {}
    seen: set[int] = set()
    waiting = list(_references(function))
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, FunctionType) and _is_own(value.__module__):
            name = f"{value.__module__}.{value.__qualname__}"
            if id(value) not in seen:
                seen.add(id(value))
                waiting += _references(value)
            found[name] = _source(value)
        elif isinstance(value, type) and _is_own(value.__module__):
            found[f"{value.__module__}.{value.__qualname__}"] = _source(value)
        elif not isinstance(value, (ModuleType, FunctionType, type)):
            found[name] = _text(value)
    return [f"{name} = {found[name]}" for name in sorted(found)]


def _references(function: Callable[..., Any]) -> Iterator[tuple[str, Any]]:
    names = set(_names(function.__code__))
    module = function.__module__
    spaces: list[tuple[str, Mapping[str, Any]]] = [(module, function.__globals__)]
    for name in sorted(names & function.__globals__.keys()):
        value = function.__globals__[name]
        if isinstance(value, ModuleType) and _is_own(value.__name__):
            spaces.append((value.__name__, vars(value)))
    for prefix, space in spaces:
        yield from ((f"{prefix}.{name}", space[name]) for name in sorted(names & space.keys()))
    where = f"{module}.{function.__qualname__}"
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield f"{where}.{name}", cell.cell_contents
        except ValueError:  # a cell that nothing was put into yet
            continue
    yield f"{where}()", [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).items()]


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _is_own(module: str) -> bool:
    if module.partition(".")[0] in sys.stdlib_module_names | {"featurestore"}:
        return False
    file = getattr(sys.modules.get(module), "__file__", None)
    return file is not None and not any(Path(file).resolve().is_relative_to(folder) for folder in _INSTALLED)


def _source(thing: Any) -> str:
    try:
        return inspect.getsource(thing)
    except (OSError, TypeError):
        return str(thing.__qualname__)


def _text(value: Any) -> str:
    """A value as text that is the same in each process."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_text(k)}: {_text(v)}' for k, v in value.items())}}}"
    if isinstance(value, (set, frozenset)):
        return f"{{{', '.join(sorted(map(_text, value)))}}}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_text, value))}]"
    if isinstance(value, re.Pattern):
        return f"{value.pattern!r} {value.flags}"
    if isinstance(value, (pl.DataFrame, pl.Series)):
        return hashlib.sha256(pl.DataFrame(value).write_json().encode()).hexdigest()
    if isinstance(value, pl.Expr):
        return str(value)
    return repr(value) if isinstance(value, _PLAIN) else type(value).__qualname__
