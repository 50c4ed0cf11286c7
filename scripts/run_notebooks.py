"""Run every notebook on one capture, two at a time.

    python scripts/run_notebooks.py CAPTURE FOLDER

What ran lies in FOLDER under the notebook's own name; how far a notebook came that stopped, too.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import papermill

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"


def run(notebook: Path, *, capture: str, folder: Path) -> str:
    """Run one; returns why it stopped, "" when it ran to its end."""
    parameters = {"capture": capture, "other_end": ""}
    known = {name: parameters[name] for name in papermill.inspect_notebook(notebook) if name in parameters}
    try:
        papermill.execute_notebook(notebook, folder / notebook.name, known, progress_bar=False, cwd=NOTEBOOKS)
    except papermill.PapermillExecutionError as error:
        return f"{notebook.name} stopped in its cell {error.exec_count}: {error.ename}: {error.evalue}"
    return ""


def main(capture: str, folder: str) -> int:
    """Run all of them; one process, because papermill takes seconds to start; returns the exit code."""
    notebooks = sorted(NOTEBOOKS.glob("*.ipynb"))
    run_one = partial(run, capture=str(Path(capture).resolve()), folder=Path(folder).resolve())
    with ThreadPoolExecutor(max_workers=2) as two:
        stopped = [why for why in two.map(run_one, notebooks) if why]
    print("\n".join(stopped) or f"{len(notebooks)} notebooks ran to their end.")
    return int(bool(stopped))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
