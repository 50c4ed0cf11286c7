"""When a receive window held its sender up: closed (zero announced), or full and left so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from k8scap.findings.flags import FIN, RST, SYN, has_any

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from k8scap.findings.case import Case

_COLUMNS = ("stream", "reader", "reader_port", "sender", "start", "end", "kind", "frames")


def closed_windows(case: Case, *, waiting_ms: float) -> pd.DataFrame:
    """One row a closed window that held a sender up.

    Columns: stream, reader, reader_port, sender, start (zero announced), end (opened again, or the
    conversation's last frame), kind ("closed"), frames (tuple of numbers).
    Only those for which something waited: the sender probed meanwhile (Wireshark calls Linux's probes
    keep-alives), or sent data within `waiting_ms` after the window opened.
    """
    tcp = case.tcp()
    with_zero = tcp.loc[tcp["zero_window"], "stream"].unique()
    rows: list[tuple[Any, ...]] = []
    for _, packets in tcp[tcp["stream"].isin(with_zero)].groupby("stream", observed=True):
        closing = packets[packets["zero_window"]]
        for src, port in sorted(set(zip(closing["src"], closing["src_port"], strict=True))):
            rows += _closed(packets, src, port, waiting_ms)
    return _table(rows)


def _closed(packets: pd.DataFrame, src: str, port: int, waiting_ms: float) -> Iterator[tuple[Any, ...]]:
    import pandas as pd

    is_reader = (packets["src"] == src) & (packets["src_port"] == port)
    reader, sender = packets[is_reader], packets[~is_reader]
    shut = (reader["window"] == 0).fillna(value=False).astype(bool) & ~has_any(reader, FIN | SYN | RST)
    spells = (shut != shut.shift(fill_value=False)).cumsum()
    for _, spell in reader[shut].groupby(spells[shut]):
        opened = reader[(reader.index > spell.index[-1])].head(1)
        start, end = spell["time"].iloc[0], (opened if len(opened) else packets.tail(1))["time"].iloc[0]
        probes = sender["keep_alive"] | sender["zero_window_probe"]
        probed = sender[probes & sender["time"].between(start, end)]
        soon = sender["time"].between(end, end + pd.Timedelta(milliseconds=waiting_ms))
        resumed = sender[soon & (sender["payload_length"] > 0)].head(1)
        if len(probed) or (len(opened) and len(resumed)):
            frames = (*spell.index, *probed.index, *opened.index)
            yield (spell["stream"].iloc[0], src, port, spell["dst"].iloc[0], start, end, "closed", frames)


def full_windows(case: Case, *, at_least_ms: float, rtt_factor: float) -> pd.DataFrame:
    """One row a window that was filled to its last byte and not acknowledged for long.

    Columns as of `closed_windows`, with the kind "full".
    Long is at least `at_least_ms`, and `rtt_factor` times the path's round trip (on a long path every
    full window waits one). A wait that ends with a retransmission is the path's, not the reader's.
    """
    tcp = case.tcp()
    filled = tcp[tcp["window_full"]]
    lost = _retransmission_times(case)
    rtts = case.round_trips.groupby("stream")["rtt_ms"].median().to_dict()
    rows = []
    for stream, packets in tcp[tcp["stream"].isin(filled["stream"])].groupby("stream", observed=True):
        longest = max(at_least_ms, rtt_factor * rtts.get(stream, 0.0))
        waits = _full(packets, longest)
        rows += [w for w in waits if not any(w[4] <= t <= w[5] for t in lost.get(stream, ()))]
    return _table(rows)


def _full(packets: pd.DataFrame, longest_ms: float) -> Iterator[tuple[Any, ...]]:
    for packet in packets[packets["window_full"]].itertuples():
        answers = packets[(packets.index > packet.Index) & (packets["src_port"] == packet.dst_port)]
        answer = answers[answers["src"] == packet.dst].head(1)
        if len(answer) and (answer["time"].iloc[0] - packet.time).total_seconds() * 1000.0 >= longest_ms:
            frames = (packet.Index, *answer.index)
            end = answer["time"].iloc[0]
            yield (packet.stream, packet.dst, packet.dst_port, packet.src, packet.time, end, "full", frames)


def _retransmission_times(case: Case) -> dict[Any, list[Any]]:
    grouped = case.retransmissions.groupby("stream")["time"]
    return {stream: list(times) for stream, times in grouped}


def _table(rows: list[tuple[Any, ...]]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(rows, columns=list(_COLUMNS)).astype({"reader": "object", "sender": "object"})
