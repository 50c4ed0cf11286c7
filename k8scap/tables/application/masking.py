"""What is nobody's business is left out of what they said: query strings, literals, values."""

from __future__ import annotations

import re

HIDDEN = "…"
LONGEST = 512
"""Characters of a target, host or error that are kept."""

_ESCAPE = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}
_TOKEN = re.compile(r"(?=[^/]*\d)[A-Za-z0-9_\-.~+=%]{32,}|eyJ[A-Za-z0-9_\-.]{10,}")
_USER = re.compile(r"^([a-z][a-z0-9+.\-]*://)[^/@]*@")
_SQL = re.compile(
    r"(?P<comment>/\*.*?(?:\*/|\Z)|--[^\n]*)"
    r"|\$(?P<tag>\w*)\$.*?(?:\$(?P=tag)\$|\Z)"  # PostgreSQL's dollar quotes
    r"|[a-zA-Z]?'(?:[^']|'')*(?:'|\Z)"
    r'|(?P<double>"(?:[^"]|"")*(?:"|\Z))'
    r"|(?P<name>`[^`]*`|[$@:]?[^\W\d]\w*|\$\d+)"
    r"|[-+]?(?:0[xX][0-9a-fA-F]+|\d+(?:\.\d*)?(?:[eE][-+]?\d+)?|\.\d+)\w*",
    re.DOTALL,
)
_LINE_END = re.compile(r"\\[rn]")
_ESCAPED_QUOTE = re.compile(r"\\['\"]")
_FIRST_QUOTE = re.compile(r"['\"]")
_QUOTED = re.compile(r"'.*'|\".*\"|`.*`|«.*»|['\"`«].*", re.DOTALL)


def printable(text: str, *, longest: int = LONGEST) -> str:
    """Text from the wire, harmless in a terminal: what is not printable is escaped, what is long is cut."""
    if len(text) > longest:
        text = text[: longest - 1] + HIDDEN
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _ESCAPE.get(c, f"\\u{ord(c):04x}") for c in text)


def path(target: str) -> str:
    """A request's target without its query, fragment and user; a segment that looks like a token is hidden.

    `/a?q=1` → `/a?…`. A segment of 32 or more letters and digits mixed is taken for a token, UUIDs (36, with
    their hyphens) included, and so is what begins as a JSON web token does (RFC 7519).
    """
    target = _USER.sub(r"\1", target)
    before, mark, _ = target.partition("?")
    before, hash_mark, _ = before.partition("#")
    shown = _TOKEN.sub(HIDDEN, before)
    return shown + (mark + HIDDEN if mark else hash_mark + HIDDEN if hash_mark else "")


def statement(sql: str, *, strings_in_double_quotes: bool = False) -> str:
    """A statement whose numbers and quoted strings are `?`, without comments.

    Double quotes are identifiers' in standard SQL, and strings' in MySQL. Whether a backslash escapes a quote
    depends on the server's settings: from such a statement's first quote on nothing is shown.
    """
    sql = _LINE_END.sub("\n", sql)  # as Wireshark prints it: else a comment would never end
    rest = ""
    if _ESCAPED_QUOTE.search(sql) and (quote := _FIRST_QUOTE.search(sql)):
        sql, rest = sql[: quote.start()], HIDDEN

    def shown(found: re.Match[str]) -> str:
        if found["comment"]:
            return " "
        if found["name"] or (found["double"] and not strings_in_double_quotes):
            return found[0]
        return "?"

    return " ".join(_SQL.sub(shown, sql).split()) + rest


KEYLESS = frozenset(
    {
        "ACL", "AUTH", "CLIENT", "CLUSTER", "CONFIG", "ECHO", "EVAL", "EVALSHA", "EVAL_RO", "EVALSHA_RO",
        "FCALL", "FUNCTION", "HELLO", "MIGRATE", "MONITOR", "PING", "REPLICAOF", "SCRIPT", "SELECT",
        "SENTINEL", "SLAVEOF",
    }
)  # fmt: skip
"""Redis commands whose first argument is no key."""


def arguments(command: str, given: str) -> str:
    """A Redis command's arguments: the first one, its key, is shown, the others are `?`."""
    words = given.split(" ") if given else []
    shown = [] if command in KEYLESS else words[:1]
    return " ".join(shown + ["?"] * (len(words) > len(shown)))


def message(text: str) -> str:
    """A server's complaint, without what it quotes: all from the first quotation mark to the last."""
    return _QUOTED.sub("?", text)
