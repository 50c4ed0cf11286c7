"""A capture on one card: where, when, how complete, how much, and what the rules say of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from k8scap.cards import finding, markup
from k8scap.cards.markup import printable
from k8scap.cards.narrowing import NOTHING_LEFT, narrowed_to, none_passes
from k8scap.errors import K8scapError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from k8scap.model import Finding, Findings, Manifest, Quality
    from k8scap.recording import Recording

_SIDES = {
    "client": "the clients': round trips are whole, what was lost was lost anywhere beyond",
    "server": "the servers': what a request met on its way here is not seen",
    "middle": "between clients and servers: each half of a round trip is seen on its own",
}
_LEVELS = {
    True: ("good", "Complete"),
    None: ("warning", "Completeness unknown"),
    False: ("critical", "Not complete"),
}
FOUND_SHOWN = 10


def text(cap: Any, *, verdicts: bool = True) -> str:
    """A capture in a few lines, for terminals; control characters from the wire stay harmless.

    Without `verdicts` it says nothing of findings.
    """
    lines = ["k8scap capture"]
    lines += [f"  {name:10}{printable(value)}" for name, value in _facts(cap)]
    for heading, sentences in _verdicts(cap) if verdicts else ():
        lines += [f"  {heading}:", *(f"    {printable(sentence)}" for sentence in sentences)]
    return "\n".join(lines)


def html(cap: Any) -> str:
    """A capture as a card for notebooks; everything in it is escaped."""
    name = ", ".join(dict.fromkeys(cap.points))
    facts = markup.facts((name, markup.escaped(value)) for name, value in _facts(cap))
    try:
        if _is_emptied(cap):
            level, word, said = "warning", "No frame passes", markup.title(NOTHING_LEFT)
        else:
            level, word = _LEVELS[cap.quality.complete]
            said = _findings(cap.findings)
    except K8scapError as error:
        level, word = "", "Not judged"
        said = markup.title(str(error))
    top = markup.head(word, "k8scap capture"), markup.title(name)
    return markup.page_part(markup.card(*top, facts, said, tone=level))


def _findings(findings: Findings) -> str:
    """Found ones in a line each, with the next step; the rest folded."""
    found = findings.found
    lines = [
        f"{finding.line(one)}{markup.folded('next', markup.copyable(one.next_step))}"
        for one in found[:FOUND_SHOWN]
    ]
    lines += (
        [f"and {len(found) - FOUND_SHOWN:,} more: <code>cap.findings</code>"]
        if len(found) > FOUND_SHOWN
        else []
    )
    return (
        markup.title(finding.verdict(findings))
        + markup.listed(lines, kind="findings")
        + finding.rest(findings)
    )


def _facts(cap: Any) -> Iterator[tuple[str, str]]:
    """Names and values; what cannot be told of this capture is left out, or says why."""
    for recording, point in zip(cap.recordings, cap.points, strict=True):
        yield "where", f"{point}{_place(recording.manifest)} ({_files(recording.files)})"
    for note in _said(cap.recordings):
        yield "said", note
    if not cap.is_whole:
        yield "narrowed", f"to {narrowed_to(cap)}"
    try:
        yield from _quality(cap.quality, whole=cap.is_whole)
        yield from _times(cap.packets)
        yield "packets", _packets(cap)
    except K8scapError as error:
        yield "but", str(error)


def _said(recordings: Sequence[Recording]) -> dict[str, None]:
    """What was noted while it was captured, each sentence once."""
    told = [manifest for r in recordings for manifest in (r.capture, r.manifest) if manifest]
    return dict.fromkeys(note for manifest in told for note in manifest.notes)


def _place(manifest: Manifest | None) -> str:
    if manifest is None:
        return ""
    in_cluster = manifest.target.get("kind") in {"pod", "node"}
    parts = {
        "on node": manifest.target.get("node"),
        "interface": manifest.interface,
        "via": manifest.via if in_cluster else "",
    }
    return "".join(f", {name} {value}" for name, value in parts.items() if value)


def _files(files: Any) -> str:
    names = [file.name for file in files]
    return names[0] if len(names) == 1 else f"{len(names)} files, {names[0]} to {names[-1]}"


def _times(packets: Any) -> Iterator[tuple[str, str]]:
    if "time" in packets and len(packets):
        start, end = packets["time"].min(), packets["time"].max()
        yield (
            "when",
            f"{start:%Y-%m-%d %H:%M:%S} to {end:%H:%M:%S} UTC, {(end - start).total_seconds():,.3f} s",
        )


def _is_emptied(cap: Any) -> bool:
    """Whether frames are in the files, perhaps, and none of them passes."""
    return not (cap.is_whole or len(cap.packets))


def _packets(cap: Any) -> str:
    if _is_emptied(cap):
        return none_passes(cap)
    return f"{len(cap.packets):,}{_conversations(cap.conversations)}"


def _conversations(table: Any) -> str:
    counts = table["protocol"].value_counts()
    each = ", ".join(f"{count:,} {protocol}" for protocol, count in counts.items() if count)
    return f", {len(table):,} conversations" + (f" ({each})" if each else "")


def _quality(quality: Quality, *, whole: bool) -> Iterator[tuple[str, str]]:
    if quality.complete:
        here = "all that it captured is here" if whole else "all that it captured is in the file"
        yield "complete", f"yes: tcpdump dropped none, and {here}"
    elif quality.complete is None:
        yield "complete", "unknown: no manifest stands beside the file"
    else:
        yield "complete", "no"
    if quality.side:
        yield "side", _SIDES[quality.side]
    for note in quality.notes:
        yield "note", note


def _verdicts(cap: Any) -> Iterator[tuple[str, list[str]]]:
    """What was found, with its evidence, and what else was looked for."""
    try:
        findings = cap.findings
    except K8scapError as error:
        yield "Not judged", [str(error)]
        return
    for status, heading in finding.STATUS_WORDS.items():
        sentences = [_sentence(one) for one in findings if one.status == status]
        if sentences or status == "found":
            yield heading, sentences or ["nothing that these rules look for"]


def _sentence(finding: Finding) -> str:
    why = f" ({finding.reason})" if finding.reason else ""
    if finding.status != "found":
        return f"{finding.rule}{why}"
    following = f". Next: {finding.next_step}" if finding.next_step else ""
    return f"{finding.severity}, {finding.rule}: {finding.title}{why}{following}"
