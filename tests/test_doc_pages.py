"""What the documents draw and list is what there is."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


def test_the_picture_of_the_floors_is_the_contracts() -> None:
    argv = [sys.executable, "scripts/layers_picture.py", "--check"]
    done = subprocess.run(argv, cwd=ROOT, check=False)
    assert done.returncode == 0, "draw it again: python scripts/layers_picture.py"


def test_every_notebook_is_listed_with_its_question() -> None:
    listed = (DOCS / "notebooks.md").read_text(encoding="utf-8")
    names = [path.stem for path in sorted((ROOT / "notebooks").glob("*.ipynb"))]
    assert names
    assert [name for name in names if f"| `{name}` |" not in listed] == []


def test_the_captures_of_the_samples_are_small() -> None:
    assert sum(path.stat().st_size for path in (DOCS / "captures").iterdir()) < 1_000_000
