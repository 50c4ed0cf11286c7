"""Draw docs/images/layers.svg from the import contract in pyproject.toml.

    python scripts/layers_picture.py [--check]

With --check nothing is written; it ends with 1 where the picture is not the contract's.
"""

from __future__ import annotations

import sys
import tomllib
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "images" / "layers.svg"
WIDTH, ROW, GAP, EDGE, SAID = 1100, 36, 8, 16, 300
"""Pixels: the picture, a floor, between floors and rooms, its edge, the column of words."""
SAYS = {
    "cli": "argv → the public functions",
    "html_report": "captures shown; faults made on demand",
    "sharing": "bundles for somebody else",
    "live": "all that touches a running system",
    "comparison": "what changed between captures",
    "analysis": "Capture, load(), diagnose()",
    "findings": "rules, views, the same packets at two points",
    "tables": "DataFrame in, DataFrame out",
    "parser": "pcap → packets table",
    "recording": "pcap and manifest on disk",
    "names": "addresses → names; the seam to commands",
    "schema": "columns; dataclasses",
    "cards": "what every card is made of",
    "errors": "every exception, its sentence, its exit code",
}


def floors() -> list[list[str]]:
    """The rooms of each floor, from the top, as the contract has them."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = [contract["layers"] for contract in contracts if contract["type"] == "layers"]
    rooms = [[room.strip().removeprefix("k8scap.") for room in floor.split("|")] for floor in layers]
    return [floor for floor in rooms if floor != ["__main__"]]


def drawing() -> str:
    """The picture, as SVG: a row a floor, a box a room."""
    house = floors()
    height = 2 * EDGE + len(house) * (ROW + GAP) - GAP
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        "<style>text { font: 12.5px system-ui, sans-serif; fill: #1a237e } .says { fill: #424242 }",
        ".room { fill: #e8eaf6; stroke: #3f51b5 }</style>",
        "<title>The floors of k8scap: each imports only from those below it</title>",
        f'<rect width="{WIDTH}" height="{height}" rx="8" fill="#ffffff"/>',
    ]
    for number, rooms in enumerate(house):
        lines += _floor(rooms, y=EDGE + number * (ROW + GAP))
    return "\n".join([*lines, "</svg>", ""])


def _floor(rooms: list[str], *, y: int) -> list[str]:
    inside = WIDTH - 2 * EDGE - SAID
    width = (inside - GAP * (len(rooms) - 1)) / len(rooms)
    lines = []
    for place, room in enumerate(rooms):
        x = EDGE + place * (width + GAP)
        lines += [
            f'<rect x="{x:g}" y="{y}" width="{width:g}" height="{ROW}" rx="5" class="room"/>',
            f'<text x="{x + width / 2:g}" y="{y + 22}" text-anchor="middle">{escape(room)}</text>',
        ]
    says = next((SAYS[room] for room in rooms if room in SAYS), "")
    at = WIDTH - EDGE - SAID + 16
    return [*lines, f'<text x="{at}" y="{y + 22}" class="says">{escape(says)}</text>']


def main() -> int:
    if "--check" in sys.argv[1:]:
        return int(PICTURE.read_text(encoding="utf-8") != drawing())
    PICTURE.write_text(drawing(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
