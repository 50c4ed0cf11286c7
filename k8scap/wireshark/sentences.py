"""What an extcap says to Wireshark (extcap(4)): one sentence a line, its values in braces.

Wireshark takes a value from one brace to the next, so none may hold one, nor a line's end: names come from
strangers.
"""

from __future__ import annotations

LONGEST = 200


def sentence(word: str, **values: object) -> str:
    """`interface {value=k8scap}{display=k8scap: a target}`; a trailing underscore of a key is left out."""
    told = "".join(
        f"{{{key.rstrip('_')}={_harmless(str(value))}}}" for key, value in values.items() if value != ""
    )
    return f"{word} {told}"


def _harmless(text: str) -> str:
    return "".join(c if c.isprintable() and c not in "{}" else " " for c in text)[:LONGEST]
