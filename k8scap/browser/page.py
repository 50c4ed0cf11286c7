"""The page's script and style sheet: the modules in static/, as the one that a widget is made of."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

MODULES = (
    "dom",
    "rows",
    "packet_list",
    "detail_tree",
    "byte_view",
    "filter_line",
    "menus",
    "conversation",
    "index",
)
"""In the order in which they need one another."""

_IMPORT = re.compile(r"^import .*? from \"\./\w+\.js\";\n", re.MULTILINE | re.DOTALL)
_EXPORT = re.compile(r"^export (?=(?:class|function) (\w+))", re.MULTILINE)


@cache
def script() -> str:
    """One ECMAScript module: each of ours in a scope of its own, its exports known to those behind it."""
    *modules, index = (_IMPORT.sub("", _text(f"{name}.js")) for name in MODULES)
    return "\n".join([*map(_scoped, modules), index])


def _scoped(module: str) -> str:
    names = ", ".join(_EXPORT.findall(module))
    return f"const {{ {names} }} = (() => {{\n{_EXPORT.sub('', module)}\nreturn {{ {names} }};\n}})();"


@cache
def style() -> str:
    return _text("browser.css")


def _text(name: str) -> str:
    return files("k8scap.browser").joinpath("static", name).read_text(encoding="utf-8")
