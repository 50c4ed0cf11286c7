"""A conversation on one card: its ends, its handshake, what it carried, lost and waited for. No payload."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from k8scap.cards import markup
from k8scap.errors import K8scapError
from k8scap.tables.state_words import state_words

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

REQUESTS_SHOWN = 10
_HALVES = {"server": "toward the server", "client": "toward the client"}
_PERCENTILES = (0.5, 0.95, 0.99)


def text(conversation: Any) -> str:
    """A conversation in a few lines, for terminals."""
    rows = [*_facts(conversation), *(("request", line) for line in _request_lines(conversation))]
    body = (f"  {name:16}{markup.printable(value)}" for name, value in rows if value)
    return "\n".join([f"k8scap conversation: {_heading(conversation.row)}", *body])


def html(conversation: Any) -> str:
    """A conversation as a card for notebooks; everything in it is escaped."""
    row = conversation.row
    facts = [(name, markup.escaped(value)) for name, value in _facts(conversation)]
    facts.append(("in Wireshark", markup.copyable(conversation.display_filter)))
    requests = markup.listed(map(markup.escaped, _request_lines(conversation)))
    return markup.page_part(
        markup.card(
            markup.head(str(row["protocol"]), f"stream {row['stream']}", f"at {row['point']}"),
            markup.title(_ends(row)),
            markup.facts(facts),
            markup.folded("Requests", requests),
            tone="warning" if row["state"] in {"S0", "REJ"} else "info",
        )
    )


def _heading(row: pd.Series) -> str:
    return markup.printable(f"{row['protocol']} stream {row['stream']} at {row['point']}, {_ends(row)}")


def _ends(row: pd.Series) -> str:
    return " → ".join(_end(row, end) for end in ("src", "dst"))


def _end(row: pd.Series, end: str) -> str:
    name, address, port = str(row.get(f"{end}_name", row[end])), str(row[end]), row[f"{end}_port"]
    place = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    return place if name == address else f"{name} ({place})"


def _facts(conversation: Any) -> Iterator[tuple[str, str]]:
    row = conversation.row
    yield "state", state_words(row["protocol"], row["state"])
    yield "when", _when(row)
    yield "handshake", _handshake(row)
    yield "sent", _direction(row, "sent")
    yield "received", _direction(row, "received")
    yield "lost", _losses(conversation.losses)
    yield "windows", f"closed in {row['zero_windows']:,} frames" if row["zero_windows"] else ""
    yield "resets", f"{row['resets']:,}" if row["resets"] else ""
    for half, words in _HALVES.items():
        yield "round trips", _percentiles(conversation.round_trips, half, words)
    yield "exchanges", _exchanges(conversation.exchanges)


def _when(row: pd.Series) -> str:
    return f"{row['start']:%Y-%m-%d %H:%M:%S.%f} UTC, {row['duration_s']:,.3f} s"


def _handshake(row: pd.Series) -> str:
    from pandas import notna

    parts = [f"round trip {row['handshake_rtt_ms']:,.3g} ms"] if notna(row["handshake_rtt_ms"]) else []
    parts += [f"connected after {row['connect_ms']:,.3g} ms"] if notna(row["connect_ms"]) else []
    if not parts and row["protocol"] == "TCP":
        return "none was captured to its end"
    return ", ".join(parts)


def _direction(row: pd.Series, way: str) -> str:
    from pandas import notna

    rate = f", {row[f'{way}_mbps']:,.3g} Mbit/s" if notna(row[f"{way}_mbps"]) else ""
    carried = f"{row[f'payload_{way}']:,} of payload" if row[f"payload_{way}"] else "no payload"
    return f"{row[f'packets_{way}']:,} packets, {row[f'bytes_{way}']:,} bytes, {carried}{rate}"


def _losses(losses: pd.DataFrame) -> str:
    """What looked sent again, by its class: `rto 3, spurious 1`."""
    counts = losses["loss_class"].value_counts()
    return ", ".join(f"{str(name).replace('_', ' ')} {count:,}" for name, count in counts.items() if count)


def _percentiles(round_trips: pd.DataFrame, half: str, words: str) -> str:
    values = round_trips.loc[round_trips["half"] == half, "rtt_ms"]
    if values.empty:
        return ""
    median, tail, worst = (f"{values.quantile(share):,.3g}" for share in _PERCENTILES)
    within = f"95 % within {tail} ms, 99 % within {worst} ms"
    many = "1 sample" if len(values) == 1 else f"{len(values):,} samples"
    return f"{words}: median {median} ms, {within} ({many})"


def _exchanges(exchanges: pd.DataFrame) -> str:
    if exchanges.empty:
        return ""
    waits, unanswered = exchanges["think_ms"].dropna(), int(exchanges["think_ms"].isna().sum())
    parts = [f"{len(exchanges):,}"]
    parts += (
        [f"first byte after {waits.median():,.3g} ms (median), {waits.max():,.3g} ms (longest)"]
        if len(waits)
        else []
    )
    parts += [f"{unanswered:,} unanswered"] if unanswered else []
    return ", ".join(parts)


def _request_lines(conversation: Any) -> list[str]:
    """The first requests: method, masked target, status, how long it took."""
    try:
        table = conversation.requests
    except K8scapError as error:
        return [str(error)]
    lines = [_request(row) for row in table.head(REQUESTS_SHOWN).itertuples()]
    left = len(table) - len(lines)
    return [*lines, *([f"and {left:,} more: conversation.requests"] if left else [])]


def _request(row: Any) -> str:
    from pandas import notna

    waited = f"{row.latency_ms:,.3g} ms" if notna(row.latency_ms) else "no answer"
    asked = " ".join(part for part in (row.protocol, row.method, row.host, row.target) if part)
    answer = " ".join(part for part in (row.status, row.error) if part) or "?"
    return f"{row.time:%H:%M:%S.%f} {asked} → {answer}, {waited}"
