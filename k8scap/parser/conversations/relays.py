"""Connections through SOCKS proxies, as far as they take stream numbers.

Once a proxy was told where to connect to, Wireshark's SOCKS dissector (packet-socks.c of 4.0) dissects what
is relayed as if it were of a connection to that port: between client and proxy, from the client's port to
the remote one. It looks for that connection, opens it where there is none, and so a stream number is taken.
"""

from __future__ import annotations

from k8scap.parser.compiling import part
from k8scap.parser.conversations.interning import intern
from k8scap.parser.conversations.state import (
    R_CLIENT,
    R_COMMAND,
    R_DONE,
    R_METHOD,
    R_PORT,
    R_SERVER,
    R_SERVER_PORT,
    R_VERSION,
)
from k8scap.parser.decode import facts as f

_START, _WAITS, _COMMANDS, _DONE, _FAILED = range(5)
_ASKED, _USER, _GSSAPI = _WAITS, 5, 6
"""The server's states: it begins, has asked for a method, checks a user, negotiates, replies, is done."""
_CONNECT, _BIND, _ASSOCIATE, _PING, _TRACE_ROUTE = 1, 2, 3, 0x80, 0x81
_OPEN, _BY_GSSAPI, _BY_NAME, _REFUSED = 0, 1, 2, 0xFF
_GRANTED = 90


@part
def relayed_port(state, row, stream, frame):
    """Take a RELAYED row into its connection; gives the remote port where something is relayed, or -1."""
    before = state.relays.count[0]
    number = intern(state.relays, stream, 0, 0)
    relay = state.relayed[number]
    if number == before:
        relay[R_SERVER_PORT], relay[R_VERSION] = row[f.DST_PORT], row[f.FIRST]
    if not relay[R_DONE]:
        to_server = row[f.DST_PORT] == relay[R_SERVER_PORT]
        side = R_CLIENT if to_server else R_SERVER
        ended = relay[side] == _DONE or relay[side] == _FAILED
        if not ended and not _advance(relay, row, to_server):
            return -1
        if relay[R_CLIENT] == _DONE and relay[R_SERVER] == _DONE:
            relay[R_DONE] = frame
    relays = relay[R_DONE] and relay[R_DONE] < frame
    pings = relay[R_COMMAND] == _PING or relay[R_COMMAND] == _TRACE_ROUTE
    return relay[R_PORT] if relays and not pings else -1


@part
def _advance(relay, row, to_server):
    """False where bytes are cut off that decide: the dissector goes no further."""
    if relay[R_VERSION] == 4:
        return _advance_4(relay, row, to_server)
    if relay[R_VERSION] == 5:
        return _advance_client(relay, row) if to_server else _advance_server(relay, row)
    return True


@part
def _advance_4(relay, row, to_server):
    """One request, one reply."""
    if row[f.SECOND] == f.ABSENT:
        return False
    if not to_server:
        relay[R_SERVER] = _DONE if row[f.SECOND] == _GRANTED else _FAILED
        return True
    relay[R_COMMAND] = row[f.SECOND]
    if row[f.SECOND] == _CONNECT:
        if row[f.EARLY_PORT] == f.ABSENT:
            return False
        relay[R_PORT] = row[f.EARLY_PORT]
    relay[R_CLIENT] = _DONE
    return True


@part
def _advance_client(relay, row):
    """Greeting, credentials, request: the latter may stand behind a greeting that offers no other method."""
    state = relay[R_CLIENT]
    if state == _COMMANDS:
        return _take_request(relay, row[f.SECOND], row[f.LATE_PORT])
    if state == _START:
        if row[f.SECOND] == f.ABSENT or (row[f.SECOND] == 1 and row[f.THIRD] == f.ABSENT):
            return False
        if row[f.SECOND] == 0 or (row[f.SECOND] == 1 and row[f.THIRD] == _OPEN):
            relay[R_CLIENT] = _COMMANDS
            return row[f.BEHIND] == f.EMPTY or _take_request(relay, row[f.BEHIND], row[f.BEHIND_PORT])
        relay[R_CLIENT] = _WAITS
    elif state == _WAITS and relay[R_SERVER] == _ASKED:
        relay[R_CLIENT] = _COMMANDS
        if relay[R_METHOD] == _BY_NAME:
            relay[R_SERVER] = _USER
        elif relay[R_METHOD] == _BY_GSSAPI:
            relay[R_SERVER] = _GSSAPI
        elif relay[R_METHOD] == _OPEN:
            relay[R_SERVER] = _COMMANDS
        else:
            relay[R_CLIENT] = _FAILED
    return True


@part
def _take_request(relay, command, port):
    if command == f.ABSENT:
        return False
    relay[R_COMMAND] = command
    if command == _CONNECT or command == _ASSOCIATE:
        if port == f.ABSENT:
            return False
        relay[R_PORT] = port
    relay[R_CLIENT] = _DONE
    return True


@part
def _advance_server(relay, row):
    """Method, verdict on the credentials, reply."""
    state = relay[R_SERVER]
    if state == _START:
        if row[f.SECOND] == f.ABSENT:
            return False
        relay[R_METHOD] = row[f.SECOND]
        if row[f.SECOND] == _OPEN:
            relay[R_SERVER], relay[R_CLIENT] = _COMMANDS, _COMMANDS
        else:
            asked = row[f.SECOND] == _BY_NAME or row[f.SECOND] == _BY_GSSAPI
            relay[R_SERVER] = _ASKED if asked else _FAILED
    elif state == _USER:
        relay[R_SERVER] = _COMMANDS
    elif state == _GSSAPI:
        if row[f.SECOND] == f.ABSENT:
            return False
        if row[f.SECOND] == _REFUSED:
            relay[R_SERVER] = _FAILED
        elif row[f.EARLY_PORT] == 0:
            relay[R_SERVER] = _COMMANDS
    elif state == _COMMANDS and relay[R_COMMAND] != _BIND and relay[R_COMMAND] != _ASSOCIATE:
        known = relay[R_COMMAND] == _CONNECT or relay[R_COMMAND] == _PING or relay[R_COMMAND] == _TRACE_ROUTE
        relay[R_SERVER] = _DONE if known else _COMMANDS
    return True
