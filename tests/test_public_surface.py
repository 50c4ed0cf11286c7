"""What `import k8scap` gives, and what it costs."""

import subprocess
import sys

import pytest

import k8scap

HEAVY = {
    "pandas",
    "numpy",
    "matplotlib",
    "docker",
    "kubernetes",
    "pyshark",
    "jinja2",
    "tqdm",
    "asyncio",
    "anywidget",
    "traitlets",
}


def test_the_public_names_are_exactly_these():
    assert k8scap.__all__ == [
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


def test_every_public_name_is_there_and_documented():
    undocumented = [name for name in k8scap.__all__ if not getattr(k8scap, name).__doc__]
    assert undocumented == []


@pytest.mark.parametrize("wanted", ["k8scap", "k8scap.analysis", "k8scap.lab", "k8scap.cli"])
def test_importing_k8scap_imports_nothing_heavy(wanted):
    code = f"import sys, {wanted}; print(*sorted({HEAVY!r} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_no_module_bears_the_name_of_a_public_function():
    functions = [name for name in k8scap.__all__ if callable(getattr(k8scap, name))]
    code = "import pkgutil, k8scap; print(*(m.name for m in pkgutil.iter_modules(k8scap.__path__)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(functions) & set(done.stdout.split()) == set()
