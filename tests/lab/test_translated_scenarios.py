"""What NAT does to connections: what is found, held against the link's log and each side's own."""

from __future__ import annotations

from collections import Counter, defaultdict

import pytest

import k8scap
from k8scap.lab.catalogue import CATALOGUE, parts

pytestmark = pytest.mark.root

TOGETHER = "conntrack-invalid+ipvs-port-reuse+snat-exhaustion+stale-conntrack-entry"
CACHE, ORDERS, PARTNER, DNS = "198.18.0.97", "198.18.0.98", "198.18.0.30", "198.18.0.99"


@pytest.fixture
def made(run):
    return run(TOGETHER)


@pytest.fixture
def found(made):
    """The loud findings by their first cause."""
    told = [f for f in k8scap.diagnose(made.capture) if f.status == "found" and f.severity != "info"]
    return {finding.consistent_with[0]: finding for finding in told}


def syns(made, address):
    """The link's rows of each connection to an address, by its number."""
    rows = defaultdict(list)
    for row in made.log:
        if row.get("dst") == address and row.get("flags") == "S":
            rows[row["connection"]].append(row)
    return rows


def late(made, address):
    return [rows for rows in syns(made, address).values() if rows[0]["action"] == "drop"]


def test_each_cause_is_found_beside_the_others(made, found):
    assert {cause: finding.rule for cause, finding in found.items()} == {
        part: CATALOGUE[part].rule for part in parts(TOGETHER)
    }
    assert made.truth["whole"] is True


def test_whose_segment_was_not_translated_back_is_reset(made, found):
    stray = [row for row in made.log if row["action"] == "untranslated"]
    assert {row["src"] for row in stray} == {CACHE}  # as it should have been
    answer = {(row["src_port"], row["dst"]) for row in made.log if row.get("flags") == "R"}
    assert {(row["dst_port"], "198.18.0.20") for row in stray} <= answer  # to the server's own address
    broken = [row for row in made.served("cache") if "ConnectionResetError" in row.get("error", "")]
    assert {row["client_port"] for row in broken} == {row["dst_port"] for row in stray}
    assert found["conntrack-invalid"].affected == len(stray) == len(made.truth["parameters"]["struck"])
    assert f"({CACHE}:6379)" in found["conntrack-invalid"].destination


def test_the_client_saw_the_servers_own_address_in_those_segments_only(made):
    bare = made.tshark("tcp.dstport", where="ip.src == 198.18.0.20 && tcp.srcport == 6379")
    stray = [row["dst_port"] for row in made.log if row["action"] == "untranslated"]
    assert Counter(int(port) for (port,) in bare) == Counter(stray)


def test_a_port_that_is_used_again_waits_a_second(made, found):
    reused = Counter(rows[0]["src_port"] for rows in syns(made, ORDERS).values())
    again = {rows[0]["src_port"] for rows in late(made, ORDERS)}
    assert again == {port for port, times in reused.items() if times == 2}
    assert found["ipvs-port-reuse"].affected == len(again)
    assert found["ipvs-port-reuse"].total == reused.total()


def test_who_comes_when_all_ports_are_held_waits(made, found):
    waited = late(made, PARTNER)
    first = min(rows[0]["time_ns"] for rows in waited)
    before = [rows for rows in syns(made, PARTNER).values() if rows[0]["time_ns"] < first]
    assert len(before) == made.truth["parameters"]["ports"]
    assert found["snat-exhaustion"].affected == len(waited) == made.truth["parameters"]["late"]


def test_a_socket_with_a_stale_entry_asks_in_vain_and_others_do_not(made, found):
    in_vain = [job for job in made.jobs("one-socket") if job["answer"] is None]
    assert len({job["client_port"] for job in in_vain}) == 1
    reported = found["stale-conntrack-entry"].affected
    assert reported <= len(in_vain) <= reported + 2  # to those asked as the capture ended an answer may come
    fresh = [job for job in made.jobs("dns") if job["query"] in {job["query"] for job in in_vain}]
    assert fresh
    assert all(job["answer"] for job in fresh)
