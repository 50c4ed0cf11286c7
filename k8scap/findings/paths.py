"""How many data segments each path carried: what shares of them are reckoned by."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from k8scap.findings.case import Case


def sent_on(case: Case, src: object, dst: object) -> int:
    """Data segments from one address to another, each as often as it was captured."""
    tcp = case.tcp
    on_path = (tcp["src"] == src) & (tcp["dst"] == dst)
    carries: pd.Series = (tcp["payload_length"] > 0).fillna(value=False)
    return int((on_path & carries).sum())


def data_segments(case: Case) -> int:
    """Data segments of the whole capture."""
    return int((case.tcp["payload_length"] > 0).sum())
