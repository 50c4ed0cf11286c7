"""The notebooks, bound to one capture: copies beside it, opened in JupyterLab."""

from __future__ import annotations

import sys
from pathlib import Path

from k8scap.errors import UnreadableFileError, UsageError
from k8scap.recording import open_recordings, recording_name
from k8scap.runner import LocalRunner

PARAMETER = "capture"


def shipped_notebooks() -> Path:
    """The folder of the notebooks: in the wheel beside this file, in a checkout beside the package."""
    here = Path(__file__).parent
    for folder in (here / "notebooks", here.parent / "notebooks"):
        if any(folder.glob("*.ipynb")):
            return folder
    raise UnreadableFileError(
        "The notebooks are not where k8scap is installed.", path=str(here), next_step="pip install k8scap"
    )


def copy_notebooks(file: str | Path | None = None, *, directory: str | Path | None = None) -> Path:
    """Copy the notebooks into a folder, their `capture` parameter set to `file`; returns the folder.

    `file` None is the recorded example. The folder is `directory`, or NAME-notebooks here; a notebook that
    is already there is yours, and is left as it is. Raises UnreadableFileError and UsageError.
    """
    shipped = shipped_notebooks()
    capture = None if file is None else open_recordings([file])[0].files[0].resolve()
    name = "example" if capture is None else recording_name(capture)
    folder = Path(directory) if directory else Path(f"{name}-notebooks")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder} cannot be made: {error.strerror}.", next_step="add -o DIR") from None
    for notebook in sorted(shipped.glob("*.ipynb")):
        target = folder / notebook.name
        if not target.exists():
            _bind(notebook, target, capture, shipped)
    return folder


def open_jupyterlab(folder: Path) -> int:
    """Run JupyterLab on `folder` until it is closed; returns its exit code."""
    import os

    root = ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    first = min(folder.glob("*.ipynb"))
    return LocalRunner().interact([sys.executable, "-m", "jupyterlab", *root, str(first)])


def _bind(notebook: Path, target: Path, capture: Path | None, shipped: Path) -> None:
    import nbformat
    from papermill.iorw import load_notebook_node
    from papermill.parameterize import parameterize_notebook

    content = load_notebook_node(str(notebook))
    example = _parameters(content).get(PARAMETER, "")
    bound = str(capture) if capture else str((shipped / str(example)).resolve())
    nbformat.write(parameterize_notebook(content, {PARAMETER: bound}), target)


def _parameters(content: object) -> dict[str, object]:
    import ast

    cells = [c for c in content["cells"] if "parameters" in c["metadata"].get("tags", [])]  # type: ignore[index]
    assigned = ast.parse(cells[0]["source"]).body if cells else []
    return {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in assigned
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
