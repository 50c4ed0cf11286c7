"""k8scap: from a container's network namespace to the answer in a notebook.

Public names are loaded when they are first used (PEP 562): `import k8scap` and `k8scap --help` cost
next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from k8scap import errors, lab, plot
    from k8scap.analysis import Capture, Conversation, diagnose, load
    from k8scap.browser import browse
    from k8scap.comparison import Comparison, compare
    from k8scap.correlation import correlate
    from k8scap.html_report import report
    from k8scap.live import LiveCapture, capture, doctor, enter, watch
    from k8scap.model import Finding, Findings
    from k8scap.sharing import share
    from k8scap.table_view import show

__all__ = [
    "Capture",
    "Comparison",
    "Conversation",
    "Finding",
    "Findings",
    "LiveCapture",
    "browse",
    "capture",
    "compare",
    "correlate",
    "diagnose",
    "doctor",
    "enter",
    "errors",
    "lab",
    "load",
    "plot",
    "report",
    "share",
    "show",
    "watch",
]

_MODULES = {
    "analysis": ("Capture", "Conversation", "diagnose", "load"),
    "browser": ("browse",),
    "comparison": ("Comparison", "compare"),
    "correlation": ("correlate",),
    "html_report": ("report",),
    "live": ("LiveCapture", "capture", "doctor", "enter", "watch"),
    "model": ("Finding", "Findings"),
    "sharing": ("share",),
    "table_view": ("show",),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = globals()[name] = getattr(import_module(f"k8scap.{_HOME[name]}"), name)
        return value
    if name in __all__:
        return import_module(f"k8scap.{name}")
    raise AttributeError(f"module 'k8scap' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
