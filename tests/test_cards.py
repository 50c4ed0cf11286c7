"""What a capture, a finding, a conversation and a table show in a notebook and in a terminal."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pandas as pd
import pytest
from lxml import html as lxml_html

import k8scap
from k8scap.errors import UsageError
from k8scap.model import Finding

CAPTURES = Path(__file__).resolve().parents[1] / "notebooks" / "captures"
EVIL = "<img src=x onerror=alert(1)>\x1b[2J"


@pytest.fixture(scope="module")
def lossy() -> k8scap.Capture:
    return k8scap.load(CAPTURES / "packet-loss.pcap")


@pytest.fixture(scope="module")
def refused() -> k8scap.Capture:
    return k8scap.load(CAPTURES / "connection-refused.pcap")


def card(thing: object) -> lxml_html.HtmlElement:
    return lxml_html.fromstring(thing._repr_html_())


def words(element: lxml_html.HtmlElement) -> str:
    for style in element.xpath("//style"):
        style.text = ""
    return " ".join(" ".join(element.itertext()).split())


def conversations_by_tshark(path: Path) -> dict[tuple[str, str], tuple[int, int, int, int]]:
    """`tshark -z conv,tcp`: (A, B) → frames and bytes from B to A, frames and bytes from A to B."""
    argv = ["tshark", "-n", "-r", str(path), "-q", "-z", "conv,tcp"]
    said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    found = {}
    for line in said.splitlines():
        if "<->" not in line:
            continue
        left, _, right = line.replace(" bytes", "").replace(" kB", "000").partition("<->")
        numbers = right.split()
        found[left.strip(), numbers[0]] = tuple(map(int, numbers[1:5]))
    return found


# ---- findings ----


def test_a_finding_shows_what_where_when_how_sure_and_what_to_do(refused: k8scap.Capture) -> None:
    finding = refused.findings[0]
    said = words(card(finding))
    assert finding.rule == "connection-refused"
    for part in (finding.title, finding.source, finding.destination, *finding.consistent_with, "Critical"):
        assert part in said
    assert re.search(r"(nearly certain|likely|probable|a hint) \(\d+ %\)", said)
    assert f"{finding.first_seen:%H:%M:%S}" in said
    assert f"{finding.affected} of {finding.total}" in said
    copyable = card(finding).xpath("//code[@class='k8scap-copy']/text()")
    assert copyable == [finding.next_step, finding.display_filter]


def test_a_finding_in_a_terminal_says_the_same_in_lines(refused: k8scap.Capture) -> None:
    finding = refused.findings[0]
    said = repr(finding)
    assert said.startswith("CRITICAL  connection-refused: ")
    assert max(map(len, said.splitlines()[:2])) <= 100
    assert finding.next_step in said
    assert finding.display_filter in said
    assert str(refused.findings.ruled_out[0]).startswith("RULED OUT")


def test_findings_are_a_list_that_shows_as_cards(lossy: k8scap.Capture) -> None:
    findings = k8scap.diagnose(lossy)
    page = card(findings)
    assert isinstance(findings, list)
    assert json.loads(json.dumps([f.to_dict() for f in findings]))[0]["rule"] == findings[0].rule
    found = [f for f in findings if f.status == "found"]
    titles = [t.text_content() for t in page.xpath("//p[@class='k8scap-title']")]
    assert titles[1:] == [f.title for f in found]
    folded = {d.xpath("string(summary)"): len(d.xpath(".//li")) for d in page.xpath("//details[ul]")}
    assert folded == {
        f"Not judged: {len(findings.not_judged)}": len(findings.not_judged),
        f"Ruled out: {len(findings.ruled_out)}": len(findings.ruled_out),
    }
    assert all(not d.get("open") for d in page.xpath("//details"))
    assert found[0].title in words(card(findings[:1]))
    assert re.search(r"Ruled out:\n  \S+", repr(findings))


def test_many_findings_are_ten_cards_and_lines(refused: k8scap.Capture) -> None:
    many = k8scap.Findings(refused.findings[:1] * 400)
    page = card(many)
    assert len(page.xpath("//div[contains(@class, 'k8scap-critical')]")) == 10
    assert "The lesser 390" in words(page)
    assert len(many._repr_html_()) < 100_000


# ---- the capture ----


def test_the_captures_card_folds_what_was_ruled_out(lossy: k8scap.Capture) -> None:
    page = card(lossy)
    assert "Complete" in page.xpath("string(//span[@class='k8scap-badge'])")
    folded = page.xpath("//details[starts-with(summary, 'Ruled out')]//li")
    assert [words(li).split(":")[0] for li in folded] == [f.rule for f in lossy.findings.ruled_out]


def test_cards_run_nothing_and_keep_their_style_to_themselves(lossy: k8scap.Capture) -> None:
    things = (
        lossy,
        lossy.findings,
        lossy.findings[0],
        lossy.conversation(0),
        k8scap.show(lossy.conversations),
    )
    for thing in things:
        page = card(thing)
        assert page.xpath("//script | //@onclick | //link | //@src") == []
        style = re.sub(r"/\*.*?\*/", "", page.xpath("string(//style)"), flags=re.DOTALL)
        selectors = re.findall(r"(?:^|[}{])\s*([^@{}]+)\{", style)
        assert selectors
        assert [s for s in selectors if not all(p.strip().startswith(".k8scap") for p in s.split(","))] == []


# ---- conversations ----


def test_a_conversations_card_counts_as_tshark_does(lossy: k8scap.Capture) -> None:
    counted = conversations_by_tshark(CAPTURES / "packet-loss.pcap")
    assert counted
    for row in lossy.conversations[lossy.conversations["protocol"] == "TCP"].itertuples():
        said = words(card(lossy.conversation(int(row.stream))))
        there = (f"{row.src}:{row.src_port}", f"{row.dst}:{row.dst_port}")
        received, _, sent, _ = counted.get(there) or counted[there[::-1]][2:] + counted[there[::-1]][:2]
        assert f"sent {sent:,} packets," in said
        assert f"received {received:,} packets," in said
        assert f"tcp.stream == {row.stream}" in said


def test_a_conversations_tables_are_its_own(lossy: k8scap.Capture) -> None:
    one = lossy.conversation(0)
    assert set(one.packets["stream"]) == {0}
    assert set(one.packets["protocol"]) == {"TCP"}
    assert len(one.packets) == one.row["packets"]
    assert len(one.retransmissions) == one.row["retransmissions"]
    assert set(one.round_trips["stream"]) == {0}
    median = one.round_trips.loc[one.round_trips["half"] == "server", "rtt_ms"].median()
    assert f"median {median:.3g} ms" in repr(one)


def test_a_datagram_conversation_shows_its_lookup(refused: k8scap.Capture) -> None:
    lookup = refused.lookups.iloc[0]
    one = refused.conversation(0, protocol="UDP")
    assert lookup["query"] in words(card(one))
    assert one.round_trips.empty


def test_an_unknown_conversation_says_how_to_find_one(lossy: k8scap.Capture) -> None:
    with pytest.raises(UsageError, match="no TCP stream 9999") as refusal:
        lossy.conversation(9999)
    assert "cap.conversations" in refusal.value.next_step


def test_a_stream_at_two_points_asks_which(lossy: k8scap.Capture) -> None:
    both = k8scap.load(CAPTURES / "packet-loss.pcap", CAPTURES / "connection-refused.pcap")
    with pytest.raises(UsageError, match="at each of the points"):
        both.conversation(0)
    assert both.conversation(0, point=lossy.points[0]).row["packets"] == lossy.conversation(0).row["packets"]


# ---- tables ----


def test_a_shown_table_has_its_own_names_and_units(lossy: k8scap.Capture) -> None:
    page = card(k8scap.show(lossy.round_trips))
    heads = {th.text: (th.xpath("string(small)"), th.get("title")) for th in page.xpath("//th")}
    assert heads["rtt_ms"] == ("ms", "from the segment to its answer, at the capture point")
    assert heads["time"][0] == "UTC"
    assert len(page.xpath("//tbody/tr")) == 20
    assert f"{len(lossy.round_trips) - 20:,} more rows" in words(page)


def test_a_shown_table_stays_a_data_frame(lossy: k8scap.Capture) -> None:
    before = lossy.conversations.copy()
    view = k8scap.show(lossy.conversations)
    view._repr_html_()
    assert view.table is lossy.conversations
    pd.testing.assert_frame_equal(view.table, before)


def test_numbers_that_name_are_not_taken_apart(lossy: k8scap.Capture) -> None:
    row = lossy.conversations.iloc[-1]
    said = words(card(k8scap.show(lossy.conversations)))
    assert f" {row['src_port']} " in said
    assert f"{lossy.conversations['bytes'].max():,}" in said


def test_any_table_is_escaped() -> None:
    table = pd.DataFrame({EVIL: [EVIL, None], "n": [1.23456789, float("nan")]})
    page = card(k8scap.show(table))
    assert page.xpath("//img") == []
    assert "onerror" in words(page)
    assert "\x1b" not in repr(k8scap.show(table)) + k8scap.show(table)._repr_html_()
    assert "No rows" in words(card(k8scap.show(table.iloc[:0])))


def test_a_finding_is_escaped() -> None:
    evil = Finding(
        rule="packet-loss",
        status="found",
        title=EVIL,
        source=EVIL,
        destination=EVIL,
        reason=EVIL,
        point=EVIL,
        consistent_with=(EVIL,),
        thresholds={EVIL: 1},
        display_filter=EVIL,
        next_step=EVIL,
    )
    for thing in (evil, k8scap.Findings([evil] * 12)):
        assert card(thing).xpath("//img") == []
        assert "\x1b" not in thing._repr_html_() + repr(thing)


# ---- an answer ----


def test_an_answer_is_the_worst_finding_with_its_evidence_and_the_next_step(refused: k8scap.Capture) -> None:
    shown = words(card(refused.findings.answer("Which do not work?", "connection-refused", "dns-timeout")))
    finding = refused.findings[0]
    for part in ("Which do not work?", finding.title, "6 of 6", finding.next_step, finding.display_filter):
        assert part in shown
    assert finding.title in repr(refused.findings.answer("Which?")).replace("\n", " ")


def test_where_the_rules_asked_found_nothing_the_answer_says_what_else_was_found(
    refused: k8scap.Capture,
) -> None:
    shown = words(card(refused.findings.answer("Is it lost?", "packet-loss")))
    assert "Nothing of the kind, but something else was found." in shown
    assert refused.findings[0].title in shown
    assert "no segment of" in shown


def test_an_answer_is_escaped() -> None:
    evil = k8scap.Findings([Finding(rule="x", status="found", title=EVIL, next_step=EVIL)])
    answer = evil.answer(EVIL)
    assert card(answer).xpath("//img") == []
    assert "\x1b" not in answer._repr_html_() + repr(answer)


# ---- several points ----


def test_findings_of_several_points_say_which_each_is_from(
    refused: k8scap.Capture, lossy: k8scap.Capture
) -> None:
    both = k8scap.load(CAPTURES / "packet-loss.pcap", CAPTURES / "connection-refused.pcap")
    said = repr(both.findings)
    found = re.split(r"\n(?=\d+\. )", said.partition("Not judged:")[0])
    at = {re.search(r"([a-z-]+): ", one)[1]: re.search(r"captured at +(\S+)", one)[1] for one in found}
    assert (at["packet-loss"], at["connection-refused"]) == (lossy.points[0], refused.points[0])
    for point in both.points:
        assert f"  dns-timeout at {point}: " in said
    assert "captured at" not in repr(refused.findings)
    assert " at connection-refused: " not in repr(refused.findings)


# ---- a capture that was narrowed ----


def frames_by_capinfos(path: Path) -> int:
    said = subprocess.run(["capinfos", "-c", "-M", str(path)], capture_output=True, text=True, check=True)
    return int(said.stdout.rpartition(":")[2])


def test_a_filter_that_nothing_passes_is_said_and_is_no_empty_capture() -> None:
    file = CAPTURES / "packet-loss.pcap"
    narrowed = k8scap.load(file, where='http.host == "<img src=x>"')
    told = (
        f'No frame passes the filter http.host == "<img src=x>": {frames_by_capinfos(file)} frames were read.'
    )
    assert told in repr(narrowed)
    assert told in words(card(narrowed))
    assert card(narrowed).xpath("//img") == []
    assert "is here" not in repr(narrowed)
    assert "Nothing was found" not in words(card(narrowed))


def test_a_card_says_what_the_capture_was_narrowed_to(lossy: k8scap.Capture) -> None:
    between = ("2026-01-31T10:00:00Z", "2099-01-31T11:00:00.25+01:00")
    narrowed = k8scap.load(CAPTURES / "packet-loss.pcap", where="tcp", between=between)
    told = "narrowed to the filter tcp, from 2026-01-31 10:00:00 to 2099-01-31 10:00:00.25 UTC"
    assert told in words(card(narrowed))
    assert told in " ".join(repr(narrowed).split())
    assert "narrowed" not in repr(lossy) + words(card(lossy))
