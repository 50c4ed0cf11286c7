"""TCP flags, asked of a column that may hold absent values (a header that was cut off)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

FIN, SYN, RST, PUSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10


def has_any(tcp: pd.DataFrame, flags: int) -> pd.Series:
    """Which rows of a packets table carry at least one of `flags` (bool)."""
    import numpy as np
    import pandas as pd

    bits = tcp["tcp_flags"].to_numpy(dtype=np.int64, na_value=0)
    return pd.Series(bits & flags > 0, index=tcp.index)


def is_first_syn(tcp: pd.DataFrame) -> pd.Series:
    """Which rows ask for a connection: SYN without ACK (bool)."""
    return has_any(tcp, SYN) & ~has_any(tcp, ACK)
