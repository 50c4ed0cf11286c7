"""k8scap: from a container's network namespace to the answer in a notebook."""

from k8scap import errors, lab, plot
from k8scap.analysis import Capture, diagnose, load
from k8scap.html_report import report
from k8scap.live import LiveCapture, capture, enter, watch
from k8scap.model import Finding

__all__ = [
    "Capture",
    "Finding",
    "LiveCapture",
    "capture",
    "diagnose",
    "enter",
    "errors",
    "lab",
    "load",
    "plot",
    "report",
    "watch",
]
