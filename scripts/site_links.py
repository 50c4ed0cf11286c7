"""A hook of mkdocs: links out of docs/ work in the site as they do in a view of the repository.

What docs/ links to outside itself (a manifest, CONTRIBUTING.md) is put into the site under `repository/`,
by its path in the repository; links are written for the place where each file is then.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
ALWAYS = ("CONTRIBUTING.md", "CHANGELOG.md")
LINK = re.compile(r"(?<=\]\()(?!\w+:|#|/)([^)\s#]+)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def on_files(files: Files, *, config: Any) -> Files:
    """Add what the pages link to outside docs/, and the two pages that stand there."""
    wanted = set(ALWAYS)
    for page in files.documentation_pages():
        wanted |= {
            name for name in map(_target(page.src_uri), _links(page.content_string)) if _is_outside(name)
        }
    for name in sorted(wanted):
        files.append(File.generated(config, f"repository/{name}", abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Write each link for the place where its file is in the site."""
    target, folder = _target(page.file.src_uri), posixpath.dirname(page.file.src_uri)

    def written(link: re.Match[str]) -> str:
        name = target(link[1])
        return posixpath.relpath(_in_site(name), folder or ".")

    pieces, at = [], 0
    for fence in FENCE.finditer(markdown):
        pieces += [LINK.sub(written, markdown[at : fence.start()]), fence[0]]
        at = fence.end()
    return "".join([*pieces, LINK.sub(written, markdown[at:])])


def _links(markdown: str) -> list[str]:
    return LINK.findall(FENCE.sub("", markdown))


def _target(src_uri: str) -> Any:
    """Link → the path in the repository that it means, on this page."""
    in_repository = (
        src_uri.removeprefix("repository/") if src_uri.startswith("repository/") else f"docs/{src_uri}"
    )
    folder = posixpath.dirname(in_repository)
    return lambda link: posixpath.normpath(posixpath.join(folder, link))


def _is_outside(name: str) -> bool:
    return not name.startswith(("docs/", "../")) and (ROOT / name).is_file()


def _in_site(name: str) -> str:
    return name.removeprefix("docs/") if name.startswith("docs/") else f"repository/{name}"
