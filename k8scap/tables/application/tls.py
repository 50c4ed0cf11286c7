"""TLS handshakes (RFC 8446, RFC 5246): who was meant, what was agreed on, what went wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.tables.application.certificates import validity
from k8scap.tables.application.request import UNANSWERED, Frame, Request

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_CLIENT_HELLO, _SERVER_HELLO = "1", "2"
_CLOSE_NOTIFY = "0"
_USER_CANCELED = "90"
_WARNING = "1"
_GOES_ON = ("100", "112")
"""no_renegotiation and unrecognized_name: as warnings they end nothing (RFC 5246, 7.2.2; RFC 6066, 3)."""

VERSIONS = {
    "0x0300": "SSLv3", "0x0301": "TLSv1.0", "0x0302": "TLSv1.1", "0x0303": "TLSv1.2", "0x0304": "TLSv1.3",
}  # fmt: skip

ALERTS = {
    "10": "unexpected_message", "20": "bad_record_mac", "21": "decryption_failed", "22": "record_overflow",
    "30": "decompression_failure", "40": "handshake_failure", "41": "no_certificate", "42": "bad_certificate",
    "43": "unsupported_certificate", "44": "certificate_revoked", "45": "certificate_expired",
    "46": "certificate_unknown", "47": "illegal_parameter", "48": "unknown_ca", "49": "access_denied",
    "50": "decode_error", "51": "decrypt_error", "60": "export_restriction", "70": "protocol_version",
    "71": "insufficient_security", "80": "internal_error", "86": "inappropriate_fallback",
    "100": "no_renegotiation", "109": "missing_extension", "110": "unsupported_extension",
    "111": "certificate_unobtainable", "112": "unrecognized_name", "113": "bad_certificate_status_response",
    "114": "bad_certificate_hash_value", "115": "unknown_psk_identity", "116": "certificate_required",
    "120": "no_application_protocol",
}  # fmt: skip
"""RFC 8446 (B.2) and IANA's registry: those that say that something went wrong."""


def requests_of(frames: Sequence[Frame]) -> Iterator[Request]:
    """The handshakes of one conversation.

    The first answer counts, be it a hello or an alert. From TLS 1.3 on certificates, and alerts after the
    hellos, are encrypted: they are there where the capture brings its secrets along.
    """
    current: Request | None = None
    from_client = False
    for frame in frames:
        types = frame.all("tls.handshake.type")
        if _CLIENT_HELLO in types and (
            current is None or (current.response != UNANSWERED and not _retried(current))
        ):
            current = _hello(frame)
            from_client = frame.upward
            yield current
        if current is None:
            continue
        if frame.upward != from_client:
            _answered(current, frame, types)
        _alerted(current, frame)


def _retried(current: Request) -> bool:
    """Whether the server has only asked for another hello (HelloRetryRequest), or said nothing yet."""
    return current.status == "TLSv1.3" and current.not_before is None and not current.error


def _hello(frame: Frame) -> Request:
    return Request("TLS", frame.number, "handshake", "", frame.first("tls.handshake.extensions_server_name"))


def _answered(current: Request, frame: Frame, types: list[str]) -> None:
    if _SERVER_HELLO in types and not current.status:
        agreed = frame.first("tls.handshake.extensions.supported_version")
        agreed = agreed or frame.first("tls.handshake.version")
        current.answer(frame.begins, VERSIONS.get(agreed, agreed), current.error)
    certificate = frame.first("tls.handshake.certificate")
    if certificate and current.not_after is None and (found := validity(certificate)):
        current.not_before, current.not_after = found


def _alerted(current: Request, frame: Frame) -> None:
    alerts = frame.all("tls.alert_message.desc")
    levels = frame.all("tls.alert_message.level") or [""] * len(alerts)
    for alert, level in zip(alerts, levels, strict=False):
        if level == _WARNING and alert in _GOES_ON:
            continue
        if alert not in (_CLOSE_NOTIFY, _USER_CANCELED) and not current.error:
            current.error = ALERTS.get(alert, f"alert {alert}")
            if current.response == UNANSWERED:
                current.response = frame.number
