"""DNS messages that a capture shows twice, as on a veth and on its node's interface: the query is one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.tables.sightings import AT_ONCE, SAME_ID_WITHIN

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    Bools = npt.NDArray[np.bool_]

_KEYS = ("point", "protocol", "src", "dst", "src_port", "dst_port", "ip_id", "payload_length", "dns.id",
         "dns.flags.response", "dns.qry.name", "dns.qry.type")  # fmt: skip


def seen_twice(messages: pd.DataFrame) -> Bools:
    """Which DNS messages, in capture order, show one that an earlier row shows (bool).

    Equal in ports, lengths, identification and DNS's own fields, and soon after: a resolver library asks
    again after seconds, and Linux gives every datagram an identification of its own (0 where it must not be
    fragmented). False where the packets were loaded without identification and length.
    """
    import numpy as np

    from k8scap.tables.assembly import integers, nanoseconds

    if not {"ip_id", "payload_length"} <= set(messages.columns) or not len(messages):
        return np.zeros(len(messages), dtype=bool)
    keys = messages.loc[:, list(_KEYS)].astype({"point": "object", "src": "object", "dst": "object"})
    group = keys.groupby(list(_KEYS), dropna=False, observed=True).ngroup().to_numpy()
    order = np.argsort(group, kind="stable")
    time = nanoseconds(messages["time"])[order]
    within = np.where(integers(messages["ip_id"], absent=0)[order] > 0, SAME_ID_WITHIN, AT_ONCE)
    again = np.zeros(len(messages), dtype=bool)
    again[order[1:]] = (group[order][1:] == group[order][:-1]) & (np.diff(time) <= within[1:])
    return again
