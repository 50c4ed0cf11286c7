"""What the panel and the summary show of a capture: plain words and numbers, made up here."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from k8scap.findings.case import printable, socket_address
from k8scap.live.session.progress import size_text

if TYPE_CHECKING:
    from k8scap.live.session.live_capture import LiveCapture
    from k8scap.live.watching.talkers import Talk
    from k8scap.live.watching.watcher import Watcher
    from k8scap.model import Finding
    from k8scap.names import Names

_TALKS = 8
_FINDINGS = 6
_POINTS = 3
View = dict[str, Any]
"""Keys: running, ending, title, state, packets, packet_rate, byte_rate, on_disk, dropped, some_dropped,
history (packets of each second), talks, findings, more_findings, notes. All but `running`, `ending`,
`some_dropped` and `history` are text, or lists of rows of text; what comes from the wire is printable, and
not escaped for HTML."""


def look(watcher: Watcher) -> View:
    """What there is to see now."""
    live = watcher.live
    counters = live.counters
    history, talks = _read_by(watcher)
    found = watcher.findings.worst_first()
    seconds = _seconds(live)
    packets = counters.on_disk + counters.rotated_away
    rates = history[-1] if history else (packets / seconds if seconds > 0 else 0, None)
    return {
        "running": not watcher.over,
        "ending": live.ending,
        "title": _title(live),
        "state": _state(watcher, seconds),
        "packets": f"{packets:,}",
        "packet_rate": f"{rates[0]:,.0f}",
        "byte_rate": "unknown" if rates[1] is None else f"{size_text(rates[1])}/s",
        "on_disk": size_text(live.bytes),
        "dropped": "unknown" if counters.dropped is None else f"{counters.dropped:,}",
        "some_dropped": bool(counters.dropped),
        "history": [count for count, _ in history],
        "talks": talks,
        "findings": [_finding(finding) for finding in found[:_FINDINGS]],
        "more_findings": f"and {len(found) - _FINDINGS} more" if len(found) > _FINDINGS else "",
        "notes": _notes(watcher),
    }


def _title(live: LiveCapture) -> str:
    if len(live.manifests) == 1:
        manifest = live.manifests[0]
        return printable(f"{manifest.target.get('text') or manifest.point}, {manifest.interface}")
    points = [manifest.point for manifest in live.manifests]
    more = f" and {len(points) - _POINTS} more" if len(points) > _POINTS else ""
    return printable(", ".join(points[:_POINTS]) + more)


def _seconds(live: LiveCapture) -> float:
    return max(0.0, (live.ended_at or time.monotonic()) - live.started_at)


def _state(watcher: Watcher, seconds: float) -> str:
    live = watcher.live
    if watcher.over:
        manifest = live.manifests[0]
        how = "complete" if all(m.state == "complete" for m in live.manifests) else "not complete"
        return f"ended after {seconds:,.0f} s ({manifest.ended_by or 'stopped'}), {how}"
    if not live.running:
        return "ended, and what came is being judged …"
    if live.ending:
        return "ending …"
    return f"{seconds:,.0f} s of {live.seconds:,.0f} s" if live.seconds else f"{seconds:,.0f} s"


def _read_by(watcher: Watcher) -> tuple[list[tuple[int, int]], list[list[str]]]:
    """Second by second, and who talks most; nothing before the engine is ready."""
    if not watcher.ready:
        return [], []
    with watcher.lock:
        history, talks = watcher.points.pace.history(), watcher.points.top(_TALKS)
    names = watcher.names if talks else None
    return history, [_talk(talk, names) for talk in talks] if names is not None else []


def _talk(talk: Talk, names: Names) -> list[str]:
    return [
        _end(talk.src, talk.src_port, names),
        _end(talk.dst, talk.dst_port, names),
        talk.protocol,
        f"{size_text(round(talk.rate))}/s",
        f"{talk.packets:,}",
        size_text(talk.bytes),
    ]


def _end(address: str, port: int | None, names: Names) -> str:
    """`shop/redis:6379`; `10.1.2.3:6379` where nobody named it."""
    name = names.of(address)
    if name != address:
        return printable(name) + (f":{port}" if port is not None else "")
    return address if port is None else socket_address(address, port)


def _finding(finding: Finding) -> list[str]:
    seen = f"{finding.last_seen:%H:%M:%S}" if finding.last_seen else ""
    return [finding.severity, finding.rule, printable(finding.title), seen]


def _notes(watcher: Watcher) -> list[str]:
    live = watcher.live
    notes = [printable(note) for note in live.notes]
    if watcher.failure:
        notes.append(f"Reading on failed ({printable(watcher.failure)}); the capture does not need it.")
    elif not live.to_files:
        notes.append("It goes to a pipe: conversations and findings are not shown.")
    elif not watcher.ready:
        notes.append("The packet engine is being made ready (a minute, the first time on a machine).")
    elif beyond := watcher.points.beyond:
        notes.append(f"Conversations and findings are for tshark, when it has ended: {printable(beyond)}.")
    if watcher.findings.failure:
        notes.append(
            f"Judging failed ({printable(watcher.findings.failure)}); k8scap.diagnose will tell why."
        )
    return notes + _what_next(watcher)


def _what_next(watcher: Watcher) -> list[str]:
    if watcher.over:
        return ["cap = live.result() opens it; k8scap.diagnose(cap) has every rule's word."]
    return []
