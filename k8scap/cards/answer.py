"""The answer to one question, as a card and as lines for terminals: what is so, its evidence, what next."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from k8scap.cards import finding, markup

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

EVIDENCE_SHOWN = 8
_CANNOT_TELL = "This capture cannot tell: what would show it is not in it."
_NOTHING = "Nothing of the kind is in this capture."
_ELSEWHERE = "Nothing of the kind, but something else was found."
_AGAIN = "k8scap capture TARGET -- COMMAND  # once more, while it happens; or at the other end"


@dataclass(frozen=True, repr=False)
class Answer:
    """A question and its answer: it shows as a card, and ends a notebook.

    `tone` is critical, warning, info, good (it is not so), or empty where nobody can tell. `evidence` and
    `left_open` are sentences; `next_step` is the next command to type, `display_filter` Wireshark's.
    """

    question: str
    answer: str
    tone: str = ""
    evidence: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()
    left_open: tuple[str, ...] = ()
    next_step: str = ""
    display_filter: str = ""

    def __repr__(self) -> str:
        rows = [(name, markup.printable(value)) for name, value in self._rows()]
        lines = [f"  {name:16}{value}" for name, value in rows]
        return "\n".join(
            [markup.printable(self.question), *textwrap.wrap(markup.printable(self.answer)), *lines]
        )

    def _repr_html_(self) -> str:
        facts = {
            "evidence": markup.listed(map(markup.escaped, self.evidence)),
            "likely causes": markup.escaped(", ".join(self.causes)),
            "next": markup.copyable(self.next_step),
            "in Wireshark": markup.copyable(self.display_filter),
        }
        return markup.page_part(
            markup.card(
                markup.head("Answer", self.question),
                markup.title(self.answer),
                markup.facts(facts.items()),
                markup.folded("What stays open", markup.listed(map(markup.escaped, self.left_open))),
                tone=self.tone,
            )
        )

    def _rows(self) -> Iterator[tuple[str, str]]:
        yield from (("evidence", sentence) for sentence in self.evidence)
        if self.causes:
            yield "likely causes", ", ".join(self.causes)
        yield from (("open", sentence) for sentence in self.left_open)
        if self.next_step:
            yield "next", self.next_step
        if self.display_filter:
            yield "in Wireshark", self.display_filter


def answered(findings: Sequence[Any], question: str, rules: Sequence[str]) -> Answer:
    """What the named rules say to a question; all of them where none is named."""
    asked = [one for one in findings if not rules or one.rule in rules]
    left_open = tuple(finding.sentence(one) for one in finding.of_status(asked, "not_judged"))
    if found := finding.of_status(asked, "found"):
        return _found(question, found, left_open)
    elsewhere = finding.of_status(findings, "found")
    ruled_out = [finding.sentence(one) for one in finding.of_status(asked, "ruled_out")]
    evidence = (*(_in_words(one) for one in elsewhere), *ruled_out)
    if elsewhere:
        answer, tone, following = _ELSEWHERE, elsewhere[0].severity, elsewhere[0].next_step
    elif ruled_out:
        answer, tone, following = _NOTHING if rules else finding.NOTHING, "good", _AGAIN
    else:
        answer, tone, following = _CANNOT_TELL, "", _AGAIN
    return Answer(
        question,
        answer,
        tone=tone,
        evidence=_first(evidence),
        left_open=left_open,
        next_step=following,
    )


def _found(question: str, found: Sequence[Any], left_open: tuple[str, ...]) -> Answer:
    worst = found[0]
    facts = {
        "between": finding.between(worst),
        "seen": finding.when(worst),
        "affected": finding.affected(worst),
        "confidence": finding.confidence(worst.confidence),
    }
    evidence = [f"{name}: {value}" for name, value in facts.items() if value]
    evidence += [f"also found, {_in_words(one)}" for one in found[1:]]
    return Answer(
        question,
        worst.title,
        tone=worst.severity,
        evidence=_first(evidence),
        causes=worst.consistent_with,
        left_open=left_open,
        next_step=worst.next_step,
        display_filter=worst.display_filter,
    )


def _in_words(one: Any) -> str:
    return f"{one.severity}, {one.rule}: {one.title}"


def _first(sentences: Sequence[str]) -> tuple[str, ...]:
    left = len(sentences) - EVIDENCE_SHOWN
    return (*sentences[:EVIDENCE_SHOWN], *([f"and {left:,} more: cap.findings"] if left > 0 else []))
