"""Every sample in the documents is run; one that cannot be run here says why, and is parsed at least."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import pytest
from doc_samples import PAGES, ROOT, Sample, samples

import k8scap
from k8scap import cli

if TYPE_CHECKING:
    from pathlib import Path

SAMPLES = samples()
RUN = [sample for sample in SAMPLES if not sample.reason and sample.language in {"python", "sh", "console"}]
IN_NAMESPACES = re.compile(r"\bk8scap lab \w|\blab\.run\(|\bk8scap doctor")
"""What makes network namespaces, or looks for what runs on this machine."""
LANGUAGES = {"python", "sh", "console", "powershell", "text", "json"}
STAND_INS = {
    "incident.pcap": "notebooks/captures/packet-loss.pcap",
    "before.pcap": "notebooks/captures/clean.pcap",
    "after.pcap": "notebooks/captures/slow-server.pcap",
    "client.pcap": "notebooks/captures/packet-loss.pcap",
    "server.pcap": "notebooks/captures/packet-loss.pcap",
    "web.pcap": "notebooks/captures/packet-loss.pcap",
    "db.pcap": "notebooks/captures/packet-loss.pcap",
}
"""The captures that the documents speak of as the reader's own."""
PODS = {
    "checkout-7d9f6c5b4-x2vlq": ("198.18.0.10", "node-1"),
    "redis-5c6b7d8f9-k4mzt": ("198.18.0.20", "node-2"),
}


def kubectl_says() -> str:
    """`kubectl get pods -A -o json`, as far as it tells names."""
    items = []
    for name, (address, node) in PODS.items():
        owner = {"kind": "ReplicaSet", "name": name.rpartition("-")[0], "controller": True}
        items.append(
            {
                "kind": "Pod",
                "metadata": {"name": name, "namespace": "shop", "ownerReferences": [owner]},
                "spec": {"nodeName": node},
                "status": {"podIP": address, "podIPs": [{"ip": address}]},
            }
        )
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which the documents' paths lead somewhere, and what is written harms nothing."""
    for folder in ("docs", "notebooks"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    for name, capture in STAND_INS.items():
        shutil.copy(ROOT / capture, tmp_path / name)
    (tmp_path / "names.json").write_text(kubectl_says())
    (tmp_path / "hosts.csv").write_text("address,name\n198.18.0.53,resolver\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    mpl.use("Agg")
    return tmp_path


def words_of(command: str) -> list[list[str]]:
    """The commands of a pipe, each word by word."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars="|><")
    lexer.whitespace_split = True
    pipe: list[list[str]] = [[]]
    for word in lexer:
        if word == "|":
            pipe.append([])
        else:
            pipe[-1].append(word)
    return [words for words in pipe if words]


def own(words: list[str]) -> list[str] | None:
    """What k8scap is given; None where this is another's command."""
    for called in (["k8scap"], ["kubectl", "k8scap"]):
        if words[: len(called)] == called:
            return words[len(called) :]
    return None


def run_commands(sample: Sample, capsys: pytest.CaptureFixture[str]) -> None:
    for command, shown in sample.commands:
        for words in words_of(command):
            given = own(words)
            assert given is not None, f"{command}: not ours; say <!-- not run: why --> above it"
            capsys.readouterr()
            try:
                code = cli.main(given)
            except SystemExit as end:  # --version, --help
                code = int(end.code or 0)
            said = capsys.readouterr()
            assert code in {0, 1}, f"{command}: {said.err}"
            if sample.language == "console" and shown.strip():
                assert re.fullmatch(pattern_of(shown), said.out), f"{command} says:\n{said.out}"


def pattern_of(shown: str) -> str:
    """The output as the document shows it; a line of `…` stands for any lines."""
    parts = [re.escape(part) for part in re.split(r"^…\n", shown, flags=re.MULTILINE)]
    return r"(?s:.*)".join(parts) if len(parts) > 1 else parts[0]


def run_python(page: list[Sample]) -> None:
    """The samples of one page follow one another, as a reader types them."""
    names: dict[str, Any] = {"k8scap": k8scap, "cap": k8scap.load("incident.pcap", names="names.json")}
    names["time"] = names["cap"].packets["time"].iloc[0]
    for sample in page:
        exec(compile(sample.text, str(sample), "exec"), names)  # noqa: S102  our own documents


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_block_says_what_it_is(path: Path) -> None:
    page = path.relative_to(ROOT).as_posix()
    fences = re.findall(r"^ *```", path.read_text(encoding="utf-8"), re.MULTILINE)
    own_samples = [sample for sample in SAMPLES if sample.page == page]
    assert 2 * len(own_samples) == len(fences)
    assert {sample.language for sample in own_samples} <= LANGUAGES


@pytest.mark.parametrize("sample", [s for s in SAMPLES if s.language == "python"], ids=str)
def test_python_compiles(sample: Sample) -> None:
    compile(sample.text, str(sample), "exec")


@pytest.mark.parametrize("sample", [s for s in SAMPLES if s.language in {"sh", "console"}], ids=str)
def test_every_word_of_a_command_line_exists(sample: Sample) -> None:
    """The shell can read it, and k8scap's own parser knows each command, option and choice."""
    for command, _ in sample.commands:
        subprocess.run(["sh", "-n", "-c", command], check=True)
        for words in words_of(command):
            given = own(words)
            if given is None or {"--version", "--help"} & set(given):
                continue
            ours, _ = cli.split_command(given)
            try:
                cli.build_parser().parse_args(ours)
            except SystemExit:
                pytest.fail(f"{sample}: {command}")


def pages_of(language: str, *, in_namespaces: bool) -> list[Any]:
    """The samples of each page, of those pages whose samples (do not) make namespaces."""
    pages: dict[str, list[Sample]] = {}
    for sample in (s for s in RUN if s.language == language):
        pages.setdefault(sample.page, []).append(sample)
    return [
        pytest.param(some, id=page)
        for page, some in pages.items()
        if any(IN_NAMESPACES.search(sample.text) for sample in some) == in_namespaces
    ]


@pytest.mark.usefixtures("desk")
@pytest.mark.parametrize("page", pages_of("python", in_namespaces=False))
def test_python_samples_run(page: list[Sample]) -> None:
    run_python(page)


@pytest.mark.usefixtures("desk")
@pytest.mark.parametrize(
    "sample", [s for s in RUN if s.language != "python" and not IN_NAMESPACES.search(s.text)], ids=str
)
def test_command_lines_run(sample: Sample, capsys: pytest.CaptureFixture[str]) -> None:
    run_commands(sample, capsys)


@pytest.mark.root
@pytest.mark.usefixtures("desk")
@pytest.mark.parametrize("page", pages_of("python", in_namespaces=True))
def test_python_samples_of_the_lab_run(page: list[Sample]) -> None:
    run_python(page)


@pytest.mark.root
@pytest.mark.usefixtures("desk")
@pytest.mark.parametrize(
    "sample", [s for s in RUN if s.language != "python" and IN_NAMESPACES.search(s.text)], ids=str
)
def test_command_lines_of_the_lab_run(sample: Sample, capsys: pytest.CaptureFixture[str]) -> None:
    run_commands(sample, capsys)
