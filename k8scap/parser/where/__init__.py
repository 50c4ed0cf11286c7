"""Wireshark's display filters, answered from the packets table where it holds the answer."""

from k8scap.parser.where.compiled import Judgement, Where, compile_filter

__all__ = ["Judgement", "Where", "compile_filter"]
