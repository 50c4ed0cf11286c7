"""The samples in the documents: every fenced block, what it is, and why it is not run where it is not."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(
    r"(?:^<!-- not run: (?P<reason>.+?) -->\n)?^```(?P<language>\S*)[^\n]*\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Sample:
    """One block: `reason` says why it is not run, in the document itself; empty where it is run."""

    page: str
    line: int
    language: str
    text: str
    reason: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def commands(self) -> list[tuple[str, str]]:
        """Each command line (of a console: behind `$ `) and the output that the document shows."""
        if self.language == "sh":
            return [(line, "") for line in self.text.replace("\\\n", " ").splitlines() if line.strip()]
        pieces = re.split(r"^\$ ", self.text, flags=re.MULTILINE)[1:]
        return [(command, output) for command, _, output in (piece.partition("\n") for piece in pieces)]


def samples() -> list[Sample]:
    found = []
    for path in PAGES:
        content = path.read_text(encoding="utf-8")
        for fence in FENCE.finditer(content):
            line = content.count("\n", 0, fence.start("language")) + 1
            page = path.relative_to(ROOT).as_posix()
            found.append(Sample(page, line, fence["language"], fence["text"], fence["reason"] or ""))
    return found
