"""What a bundle says of itself, to who gets it and to who sends it."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from k8scap.analysis import Capture
    from k8scap.model import Finding
    from k8scap.sharing.recordings import Contents, Part

_NEEDED = "It cannot be seen again in what was left in: it needs what applications said (--payload, --dns)."


def note(findings: Mapping[int, Finding], *, payload: bool, dns: bool) -> str:
    """One sentence for the capture file and its manifest."""
    cut = "payload kept" if payload else "payload cut, DNS kept" if dns else "payload cut"
    rules = ", ".join(dict.fromkeys(finding.rule for finding in findings.values()))
    made_by = f"k8scap {version('k8scap')}"
    return f"Trimmed by {made_by} share to the conversations that are evidence of {rules}; {cut}."


def readme(
    findings: Mapping[int, Finding], trimmed: Capture, parts: Sequence[Part], *, contents: Contents
) -> str:
    """What is in the bundle, what was left out, and how to open it."""
    files = " ".join(part.file.name for part in parts)
    opened = files if trimmed.manifests else f"{files} --names capture"
    return "\n".join(
        [
            f"Evidence of {len(findings)} finding{'s' if len(findings) > 1 else ''} in a packet capture,",
            f"made by k8scap {version('k8scap')} share.",
            "",
            "FINDINGS",
            *(line for number, finding in findings.items() for line in _finding(number, finding, trimmed)),
            "",
            "FILES",
            *(f"  {part.file.name:28} {len(part.packets):,} frames, {_span(part)}" for part in parts),
            *(
                f"  {part.file.with_suffix('.json').name:28} who, where, when, how it was captured"
                for part in parts
                if trimmed.manifests
            ),
            "  report.html                  the analysis of these frames; open it in a browser",
            "  SHA256SUMS                   check with: sha256sum -c SHA256SUMS",
            "",
            "OPEN IT",
            f"  wireshark -N n {parts[0].file.name}     (findings are packet comments)",
            f"  k8scap diagnose {opened}",
            "",
            "LEFT OUT",
            *(f"  - {line}" for line in _left_out(contents)),
            "",
            "STILL IN IT",
            *(f"  - {line}" for line in _still_there(contents)),
            "",
        ]
    )


def _finding(number: int, finding: Finding, trimmed: Capture) -> list[str]:
    """In the words that the trimmed frames give; the whole capture's may tell what was left out."""
    again = [f for f in trimmed.findings if f.status == "found" and f.rule == finding.rule]
    same = [f for f in again if f.point == finding.point] or again
    head = f"  {finding.severity.upper()} {finding.rule} (finding {number} of the whole capture)"
    return [head, *(f"    {_plain(f.title)}" for f in same)] if same else [head, f"    {_NEEDED}"]


def _left_out(contents: Contents) -> list[str]:
    payload = (
        "what applications said: every frame is cut behind its last header (its length on the wire is kept)"
    )
    dns = "DNS messages, but for their numbers, flags and counts: no name that was looked up"
    cut = [payload, *([] if contents.dns else [dns])]
    return [
        "all other conversations",
        *([] if contents.payload else cut),
        "decryption secrets, comments of others, names of addresses that are not in these frames",
        "sockets, processes, events, notes, commands, others in the capture's filter, node names",
    ]


def _still_there(contents: Contents) -> list[str]:
    kept = ["addresses, ports and MAC addresses, times, sizes, and the names of those addresses"]
    if contents.payload:
        kept.append("PAYLOAD: passwords, tokens, names and data, as far as they were not encrypted")
    elif contents.dns:
        kept.append("DNS messages: which names were looked up, and the answers")
    return [*kept, "the kernel's counters of the captured host, by name and number"]


def _span(part: Part) -> str:
    times = part.packets["time"]
    return f"{times.min():%Y-%m-%d %H:%M:%S} to {times.max():%H:%M:%S} UTC" if len(times) else "no time"


def _plain(text: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
