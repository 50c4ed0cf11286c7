"""A bundle for somebody else: the conversations that are evidence of a finding, and nothing more."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence
    from pathlib import Path

    from k8scap.analysis import Capture
    from k8scap.model import Finding

__all__ = ["share"]


def share(
    cap: Capture,
    *,
    findings: int | Finding | Sequence[int | Finding],
    output: str | os.PathLike[str] | None = None,
    payload: bool = False,
    dns: bool = False,
) -> Path:
    """Write the evidence of some findings to a folder, or to one .zip, and return its path.

    `findings` are numbers as `k8scap diagnose` gives them (`cap.findings[n - 1]`), or findings of `cap`. In
    the bundle are, of each point: the conversations that the finding shows, with the ICMP errors about them,
    every frame cut behind its last header (its length on the wire stays, so that it can be analysed); a
    manifest with the names of the addresses in it; then the report on that, README.txt and SHA256SUMS.
    `payload` keeps what applications said; `dns` keeps DNS messages alone, which say what was looked up.
    Decryption secrets, comments of others, other names, host sockets, events, notes and commands never go
    along. Files are 0600. Raises UsageError (no such finding; `output` is there already), and as `report`
    does.
    """
    from k8scap.model import Finding
    from k8scap.sharing.bundle import make_bundle
    from k8scap.sharing.evidence import chosen

    asked = [findings] if isinstance(findings, int | Finding) else list(findings)
    return make_bundle(cap, chosen(cap, asked), output=output, payload=payload, dns=dns)
