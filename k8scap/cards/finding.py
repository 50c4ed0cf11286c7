"""What one rule says, or all of them, as cards and as lines for terminals."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

from k8scap.cards import markup

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

WIDTH = 100
FRAMES_SHOWN = 8
CARDS_SHOWN = 10
LINES_SHOWN = 100
WORDS = {"critical": "Critical", "warning": "Warning", "info": "Info"}
STATUS_WORDS = {"found": "Found", "not_judged": "Not judged", "ruled_out": "Ruled out"}
NOTHING = "Nothing was found that these rules look for."
_CONFIDENCE = ((0.95, "nearly certain"), (0.8, "likely"), (0.6, "probable"), (0.0, "a hint"))


def confidence(value: float) -> str:
    """`likely (85 %)`; empty where nothing was judged."""
    if value <= 0:
        return ""
    return f"{next(word for least, word in _CONFIDENCE if value >= least)} ({value:.0%})".replace("%", " %")


def verdict(findings: Sequence[Any]) -> str:
    """`3 findings: 1 critical, 2 warning`."""
    found = [f for f in findings if f.status == "found"]
    if not found:
        return NOTHING
    counts = {name: sum(f.severity == name for f in found) for name in WORDS}
    many = {"critical": "critical", "warning": "warnings", "info": "infos"}
    said = ", ".join(f"{n} {name if n == 1 else many[name]}" for name, n in counts.items() if n)
    return f"{len(found)} {'finding' if len(found) == 1 else 'findings'}: {said}"


def html(finding: Any) -> str:
    """One finding as a card of its own."""
    return markup.page_part(_card(finding))


def html_of_all(findings: Sequence[Any]) -> str:
    """Found ones as cards (the worst), then lines; what was not judged and what was ruled out folded."""
    return markup.page_part(
        _overview(findings), *(_card(f) for f in of_status(findings, "found")[:CARDS_SHOWN])
    )


def text(finding: Any, *, number: int = 0, with_point: bool = False) -> str:
    """One finding: a headline, numbered where a number is given, and what a reader needs to believe it."""
    if finding.status != "found":
        word = STATUS_WORDS[finding.status].upper()
        return textwrap.fill(
            markup.printable(f"{word}  {sentence(finding)}"), WIDTH, subsequent_indent="    "
        )
    rows = {
        "between": between(finding),
        "captured at": finding.point if with_point else "",
        "affected": affected(finding),
        "consistent with": ", ".join(finding.consistent_with),
        "frames": frames(finding),
        "show them": finding.display_filter,
        "next": finding.next_step,
    }
    first = f"{number}. " if number else ""
    headline = f"{first}{finding.severity.upper()}  {finding.rule}: {markup.printable(finding.title)}"
    body = (f"  {name:16}{markup.printable(value)}" for name, value in rows.items() if value)
    return "\n".join([*textwrap.wrap(headline, WIDTH), *body])


def text_of_all(findings: Sequence[Any]) -> str:
    """Found first, numbered from 1, then what could not be judged, then what was ruled out.

    Each says at which point it was captured, where there are several.
    """
    several = len({finding.point for finding in findings if finding.point}) > 1
    numbered = enumerate(of_status(findings, "found"), start=1)
    parts = [text(finding, number=n, with_point=several) for n, finding in numbered] or [NOTHING]
    for status in ("not_judged", "ruled_out"):
        if rest := of_status(findings, status):
            said = (markup.printable(sentence(finding, with_point=several)) for finding in rest)
            lines = (
                textwrap.fill(line, WIDTH, initial_indent="  ", subsequent_indent="    ") for line in said
            )
            parts.append("\n".join([f"{STATUS_WORDS[status]}:", *lines]))
    return "\n\n".join(parts)


def of_status(findings: Iterable[Any], status: str) -> list[Any]:
    return [finding for finding in findings if finding.status == status]


def sentence(finding: Any, *, with_point: bool = False) -> str:
    """What a rule that found nothing says: its number, and the reason where it could not judge."""
    reason = finding.reason if finding.reason not in finding.title else ""
    at = f" at {finding.point}" if with_point and finding.point else ""
    return f"{finding.rule}{at}: {finding.title}{f' ({reason})' if reason else ''}"


def line(finding: Any) -> str:
    """A found one in a line of HTML: severity, rule, title."""
    return (
        f"<span class='k8scap-{markup.escaped(finding.severity)}'>"
        f"<span class='k8scap-badge'>{markup.escaped(WORDS[finding.severity])}</span></span> "
        f"<b>{markup.escaped(finding.rule)}</b>: {markup.escaped(finding.title)}"
    )


def rest(findings: Sequence[Any]) -> str:
    """What could not be judged and what was ruled out, folded: a list each."""
    return "".join(
        markup.folded(
            f"{STATUS_WORDS[status]}: {len(some)}",
            markup.listed(markup.escaped(sentence(finding)) for finding in some),
        )
        for status in ("not_judged", "ruled_out")
        if (some := of_status(findings, status))
    )


def between(finding: Any) -> str:
    return " → ".join(end for end in (finding.source, finding.destination) if end)


def affected(finding: Any) -> str:
    parts = [f"{finding.affected:,} of {finding.total:,}"] if finding.total else []
    parts += [f"{finding.seconds_lost:,.3g} s lost"] if finding.seconds_lost else []
    return ", ".join(parts)


def when(finding: Any) -> str:
    """`2026-01-31 10:00:00.123 to 10:00:04.500 UTC`."""
    first, last = finding.first_seen, finding.last_seen
    if first is None or last is None:
        return ""
    shown = f"{first:%Y-%m-%d %H:%M:%S.%f}"[:-3]
    return f"{shown} UTC" if first == last else f"{shown} to {f'{last:%H:%M:%S.%f}'[:-3]} UTC"


def frames(finding: Any) -> str:
    first = ", ".join(map(str, finding.frames[:FRAMES_SHOWN]))
    more = finding.frame_count - min(len(finding.frames), FRAMES_SHOWN)
    return f"{first} and {more:,} more" if more > 0 else first


def _card(finding: Any) -> str:
    found = finding.status == "found"
    tone = finding.severity if found else ""
    badge = WORDS[finding.severity] if found else STATUS_WORDS[finding.status]
    sure = f"confidence: {confidence(finding.confidence)}" if finding.confidence else ""
    return markup.card(
        markup.head(badge, finding.rule, sure),
        markup.title(finding.title),
        markup.facts(_facts(finding)),
        markup.folded("Thresholds of this rule", _thresholds(finding)),
        tone=tone,
    )


def _facts(finding: Any) -> Iterator[tuple[str, str]]:
    if finding.reason and finding.reason not in finding.title:
        yield "why", markup.escaped(finding.reason)
    yield "between", markup.escaped(between(finding))
    yield "captured at", markup.escaped(finding.point)
    yield "consistent with", markup.escaped(", ".join(finding.consistent_with))
    yield "seen", markup.escaped(when(finding))
    yield "affected", markup.escaped(affected(finding))
    yield "next, type", markup.copyable(finding.next_step)
    yield "in Wireshark", markup.copyable(finding.display_filter)
    yield "frames", markup.escaped(frames(finding))


def _thresholds(finding: Any) -> str:
    return ", ".join(
        f"<code>{markup.escaped(name)} {markup.escaped(str(value))}</code>"
        for name, value in finding.thresholds.items()
    )


def _overview(findings: Sequence[Any]) -> str:
    more = of_status(findings, "found")[CARDS_SHOWN:]
    lines = [line(finding) for finding in more[:LINES_SHOWN]]
    lines += [f"and {len(more) - LINES_SHOWN:,} more"] if len(more) > LINES_SHOWN else []
    return markup.card(
        markup.title(verdict(findings)),
        markup.folded(f"The lesser {len(more):,}", markup.listed(lines, kind="findings")),
        rest(findings),
    )
