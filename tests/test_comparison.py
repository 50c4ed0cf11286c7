"""`k8scap.compare` and `k8scap compare` as a user meets them, on captures of the lab."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

import k8scap
from k8scap import lab
from k8scap.errors import UsageError

if TYPE_CHECKING:
    from k8scap import Capture

HERE = Path(__file__).parent
K8SCAP = str(Path(sys.executable).with_name("k8scap"))
SLOWER_MS = 40.0
MACHINE_MS = 3.0
"""What a busy machine adds to one run and not to the other."""
HOSTILE = "<script>alert(1)</script>\x1b[2J"
pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One scenario and seed three times: as it is, again, and with all that the server sends later."""
    folder = tmp_path_factory.mktemp("compare")
    later = (f"delay to=client tcp ms={SLOWER_MS:g}",)
    for name, plan in (("before", ()), ("again", ()), ("after", later)):
        lab.run("clean", seed=1, directory=folder, name=name, plan=plan)
    return folder


def opened(folder: Path, name: str, **options: Any) -> Capture:
    return k8scap.load(folder / f"{name}.pcap", **options)


def command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [K8SCAP, "compare", *words], capture_output=True, text=True, check=False, timeout=120
    )


@pytest.fixture(scope="module")
def found(folder: Path) -> k8scap.Comparison:
    return k8scap.compare(opened(folder, "before"), opened(folder, "after"))


def test_a_longer_path_is_found_with_its_amount_and_comes_first(found: k8scap.Comparison) -> None:
    row = found.table.set_index("metric").loc["server round trip p50"]
    assert row["verdict"] == "changed"
    assert row["low"] - MACHINE_MS <= SLOWER_MS <= row["high"] + MACHINE_MS
    assert row["difference"] == pytest.approx(SLOWER_MS, abs=8)
    assert "round trip" in found.changes[0] or "connect time" in found.changes[0]
    assert not [line for line in found.changes if line.startswith(("lost", "refused", "client"))]


def test_the_same_again_is_no_change(folder: Path) -> None:
    found = k8scap.compare(opened(folder, "before"), opened(folder, "again"))
    assert found.changes == []
    assert "0 changed" in repr(found)


@pytest.mark.parametrize("form", ["text", "csv", "json"])
def test_the_command_says_the_same(folder: Path, found: k8scap.Comparison, form: str) -> None:
    done = command(*(str(folder / f"{name}.pcap") for name in ("before", "after")), "--format", form)
    assert (done.returncode, done.stderr) == (0, "")
    if form == "text":
        assert done.stdout == f"{found}\n"
        return
    told = (
        json.loads(done.stdout)["table"] if form == "json" else list(csv.DictReader(io.StringIO(done.stdout)))
    )
    assert [row["metric"] for row in told] == found.table["metric"].tolist()
    assert [row["verdict"] for row in told] == found.table["verdict"].tolist()


def test_servers_of_one_capture_are_compared(folder: Path) -> None:
    found = k8scap.compare(opened(folder, "before"), by="server")
    assert {"server:80", "server:8080", "server:5001"} <= set(found.table["who"])


@pytest.mark.parametrize("words", [(), ("after.pcap", "--by", "pod"), ("--by", "node")])
def test_what_cannot_be_compared_is_said(folder: Path, words: tuple[str, ...]) -> None:
    files = [str(folder / word) if word.endswith(".pcap") else word for word in ("before.pcap", *words)]
    done = command(*files)
    assert done.returncode == 2
    assert "next:" in done.stderr
    assert "Traceback" not in done.stderr


def test_by_must_be_known(folder: Path) -> None:
    with pytest.raises(UsageError, match="colour"):
        k8scap.compare(opened(folder, "before"), by="colour")


def test_an_empty_capture_can_be_compared(folder: Path) -> None:
    nothing = opened(folder, "before", where="frame.number == 0")
    found = k8scap.compare(nothing, opened(folder, "before"))
    assert set(found.table["verdict"]) <= {"unknown", "new"}
    assert k8scap.compare(nothing, nothing).changes == []
    assert len(k8scap.compare(nothing, by="pod").table) == 0


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        del attrs
        self.seen.add(tag)


def test_a_hostile_name_is_text_and_nothing_else(folder: Path) -> None:
    named = opened(folder, "before", names={"198.18.0.20": HOSTILE})
    found = k8scap.compare(named, by="server")
    gone = k8scap.Comparison(_gone(HOSTILE))
    for comparison in (found, gone):
        tags = Tags()
        tags.feed(comparison._repr_html_())
        assert "script" not in tags.seen
        assert "\x1b" not in repr(comparison)
    assert "alert" in repr(gone)


def _gone(who: str) -> pd.DataFrame:
    numbers = dict.fromkeys(["difference", "low", "high"], float("nan")) | {
        "before": 9.0,
        "after": 0.0,
        "p": 0.01,
    }
    row = {"metric": "conversations", "unit": "", "who": who, "verdict": "gone", **numbers}
    return pd.DataFrame([row])
