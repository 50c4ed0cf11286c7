"""The notebooks, a story each, bound to a capture: copies of them, opened in JupyterLab."""

from __future__ import annotations

import sys
from pathlib import Path

from k8scap.errors import UnreadableFileError, UsageError
from k8scap.recording import open_recordings, recording_name
from k8scap.runner import LocalRunner

PARAMETER = "capture"
OTHER_END = "other_end"


def stories() -> dict[str, Path]:
    """Each story's short name and its notebook: `post-mortem` is 05_post_mortem.ipynb."""
    return {
        path.stem.partition("_")[2].replace("_", "-"): path
        for path in sorted(shipped_notebooks().glob("*.ipynb"))
    }


def shipped_notebooks() -> Path:
    """The folder of the notebooks: in the wheel beside this file, in a checkout beside the package."""
    here = Path(__file__).parent
    for folder in (here / "notebooks", here.parent / "notebooks"):
        if any(folder.glob("*.ipynb")):
            return folder
    raise UnreadableFileError(
        "The notebooks are not where k8scap is installed.", path=str(here), next_step="pip install k8scap"
    )


def copy_notebooks(
    file: str | Path | None = None,
    *,
    other_end: str | Path | None = None,
    story: str | None = None,
    directory: str | Path | None = None,
) -> Path:
    """Copy the notebooks into a folder, their `capture` parameter set to `file`; returns the folder.

    `file` None is what each opens by itself: a recorded example. `other_end` is what was captured at the
    other end, for the story of both. `story` is the one that is wanted, None all of them. The folder is
    `directory`, or NAME-notebooks here; a notebook that is already there is yours, and is left as it is.
    Raises UnreadableFileError and UsageError.
    """
    wanted = _chosen(story)
    given = {PARAMETER: file, OTHER_END: other_end}
    captures = {name: _opened(one) for name, one in given.items() if one is not None}
    name = recording_name(captures[PARAMETER]) if file is not None else "example"
    folder = Path(directory) if directory else Path(f"{name}-notebooks")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder} cannot be made: {error.strerror}.", next_step="add -o DIR") from None
    for notebook in wanted:
        target = folder / notebook.name
        if not target.exists():
            _bind(notebook, target, captures)
    return folder


def _opened(given: str | Path) -> Path:
    """What a notebook is to open; a manifest over several recordings stays one."""
    recordings = open_recordings([given])
    return (Path(given).expanduser() if len(recordings) > 1 else recordings[0].files[0]).resolve()


def _chosen(story: str | None) -> list[Path]:
    known = stories()
    if story is None:
        return list(known.values())
    if story not in known:
        raise UsageError(
            f"There is no story {story!r}; there are {', '.join(known)}.",
            next_step=f"k8scap notebook --story {next(iter(known))}",
        )
    return [known[story]]


def open_jupyterlab(folder: Path, *, story: str | None = None) -> int:
    """Run JupyterLab on `folder` until it is closed, the story's notebook (or the first) open.

    Returns its exit code.
    """
    import os

    root = ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    first = folder / _chosen(story)[0].name
    return LocalRunner().interact([sys.executable, "-m", "jupyterlab", *root, str(first)])


def _bind(notebook: Path, target: Path, captures: dict[str, Path]) -> None:
    """Where no capture is given the copy opens what the notebook does, wherever it is run."""
    import nbformat
    from papermill.iorw import load_notebook_node
    from papermill.parameterize import parameterize_notebook

    content = load_notebook_node(str(notebook))
    known = {name: value for name, value in _parameters(content).items() if name in {PARAMETER, OTHER_END}}
    bound = {name: str((notebook.parent / str(value)).resolve()) for name, value in known.items()}
    if PARAMETER in captures:
        bound = {name: str(captures.get(name, "")) for name in known}
    nbformat.write(parameterize_notebook(content, bound), target)


def _parameters(content: object) -> dict[str, object]:
    import ast

    cells = [c for c in content["cells"] if "parameters" in c["metadata"].get("tags", [])]  # type: ignore[index]
    assigned = ast.parse(cells[0]["source"]).body if cells else []
    return {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in assigned
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
