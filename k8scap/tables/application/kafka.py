"""Kafka's protocol: requests and responses meet by their correlation ID."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8scap.tables.application.request import Frame, Request

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_NO_ERROR = "0"

APIS = (
    "Produce", "Fetch", "ListOffsets", "Metadata", "LeaderAndIsr", "StopReplica", "UpdateMetadata",
    "ControlledShutdown", "OffsetCommit", "OffsetFetch", "FindCoordinator", "JoinGroup", "Heartbeat",
    "LeaveGroup", "SyncGroup", "DescribeGroups", "ListGroups", "SaslHandshake", "ApiVersions", "CreateTopics",
    "DeleteTopics", "DeleteRecords", "InitProducerId", "OffsetForLeaderEpoch", "AddPartitionsToTxn",
    "AddOffsetsToTxn", "EndTxn", "WriteTxnMarkers", "TxnOffsetCommit", "DescribeAcls", "CreateAcls",
    "DeleteAcls", "DescribeConfigs", "AlterConfigs", "AlterReplicaLogDirs", "DescribeLogDirs",
    "SaslAuthenticate", "CreatePartitions",
)  # fmt: skip
"""Kafka's protocol guide: API keys, by their number."""

ERRORS = {
    "-1": "UNKNOWN_SERVER_ERROR", "1": "OFFSET_OUT_OF_RANGE", "2": "CORRUPT_MESSAGE",
    "3": "UNKNOWN_TOPIC_OR_PARTITION", "5": "LEADER_NOT_AVAILABLE", "6": "NOT_LEADER_OR_FOLLOWER",
    "7": "REQUEST_TIMED_OUT", "8": "BROKER_NOT_AVAILABLE", "10": "MESSAGE_TOO_LARGE",
    "14": "COORDINATOR_LOAD_IN_PROGRESS", "15": "COORDINATOR_NOT_AVAILABLE", "16": "NOT_COORDINATOR",
    "19": "NOT_ENOUGH_REPLICAS", "22": "ILLEGAL_GENERATION", "25": "UNKNOWN_MEMBER_ID",
    "27": "REBALANCE_IN_PROGRESS", "29": "TOPIC_AUTHORIZATION_FAILED", "30": "GROUP_AUTHORIZATION_FAILED",
    "33": "UNSUPPORTED_SASL_MECHANISM", "35": "UNSUPPORTED_VERSION", "36": "TOPIC_ALREADY_EXISTS",
    "41": "NOT_CONTROLLER", "58": "SASL_AUTHENTICATION_FAILED", "74": "FENCED_LEADER_EPOCH",
    "79": "MEMBER_ID_REQUIRED",
}  # fmt: skip
"""The same: error codes that one meets."""


def requests_of(frames: Sequence[Frame]) -> Iterator[Request]:
    """The requests of one conversation: `target` are topics, `status` the first error's number, or 0."""
    waiting: dict[str, Request] = {}
    client: bool | None = None
    for frame in frames:
        identities = frame.all("kafka.correlation_id")
        if client is None and identities:
            client = frame.upward
        if client == frame.upward:
            yield from _asked(frame, identities, waiting)
        else:
            _answered(frame, identities, waiting)


def _asked(frame: Frame, identities: list[str], waiting: dict[str, Request]) -> Iterator[Request]:
    keys = frame.all("kafka.request_key") or frame.all("kafka.api_key")
    topics = ",".join(dict.fromkeys(frame.all("kafka.topic_name"))) if len(identities) == 1 else ""
    for place, identity in enumerate(identities):
        key = (
            keys[place] if len(keys) == len(identities) else keys[0] if len(identities) == 1 and keys else ""
        )
        known = key.isdecimal() and int(key) < len(APIS)
        request = Request("Kafka", frame.number, APIS[int(key)] if known else f"API {key}".strip(), topics)
        waiting[identity] = request
        yield request


def _answered(frame: Frame, identities: list[str], waiting: dict[str, Request]) -> None:
    errors = [error for error in frame.all("kafka.error") if error != _NO_ERROR]
    for identity in identities:
        request = waiting.pop(identity, None)
        if request is None:
            continue
        if errors and len(identities) > 1:
            request.answer(frame.begins, "")
        elif errors:
            code = errors[0]
            request.answer(frame.begins, code, ERRORS.get(code, f"error {code}"))
        else:
            request.answer(frame.begins, _NO_ERROR)
