"""Lines, words and numbers in a payload's text. Nothing here reads at `end` or beyond."""

from __future__ import annotations

import numpy as np

from k8scap.parser.compiling import part
from k8scap.parser.decode.reading import u8

SPACE, TAB, CR, LF, QUOTE, COLON, SLASH, SEMICOLON = 32, 9, 13, 10, 34, 58, 47, 59
_DIGIT_0, _DIGIT_9 = 48, 57
_BASIS, _PRIME = -3750763034362895579, 1099511628211
_LARGEST = 1 << 40


def word(text: str) -> np.ndarray:
    """A word to compare with: bytes, in lower case where the case does not matter."""
    return np.frombuffer(text.encode(), np.uint8)


def hash_of(text: str) -> int:
    """What `hash_text` makes of these bytes."""
    number = _BASIS
    for byte in text.encode():
        number = ((number ^ byte) * _PRIME) & (2**64 - 1)
    return number - 2**64 if number >= 2**63 else number


@part
def hash_text(data, at, end):
    """FNV-1a of 64 bits: texts are compared by it."""
    number = np.int64(_BASIS)
    for i in range(at, end):
        number = (number ^ u8(data, i)) * np.int64(_PRIME)
    return number


@part
def find(data, at, end, byte):
    """Where the byte stands first, `end` where it does not."""
    while at < end and data[at] != byte:
        at += 1
    return at


@part
def line_end(data, at, end):
    """Where the line ends: at CR LF, at LF or CR alone, at the end of the text."""
    while at < end and data[at] != CR and data[at] != LF:
        at += 1
    return at


@part
def line_end_unquoted(data, at, end):
    """The same, where a line break between quotation marks does not count."""
    quoted = False
    while at < end and (quoted or (data[at] != CR and data[at] != LF)):
        if data[at] == QUOTE:
            quoted = not quoted
        at += 1
    return at


@part
def next_line(data, at, end):
    """Behind the line break at `at`."""
    if at + 1 < end and data[at] == CR and data[at + 1] == LF:
        return at + 2
    return min(at + 1, end)


@part
def skip_blanks(data, at, end):
    while at < end and (data[at] == SPACE or data[at] == TAB):
        at += 1
    return at


@part
def skip_spaces(data, at, end):
    while at < end and data[at] == SPACE:
        at += 1
    return at


@part
def equals(data, at, end, expected):
    """Whether the text is this word, as it is written."""
    same, i = end - at == len(expected), 0
    while same and i < len(expected):
        same, i = data[at + i] == expected[i], i + 1
    return same


@part
def says(data, at, end, expected):
    """Whether the text is this word (given in lower case), in whatever case."""
    if end - at != len(expected):
        return False
    for i in range(len(expected)):
        byte = u8(data, at + i)
        if (byte | 0x20 if 65 <= byte <= 90 else byte) != expected[i]:
            return False
    return True


@part
def is_digit(byte):
    return _DIGIT_0 <= byte <= _DIGIT_9


@part
def leading_number(data, at, end):
    """The digits that the text begins with, as a number (0 for none; huge ones are not told apart)."""
    number = np.int64(0)
    while at < end and is_digit(data[at]) and number < _LARGEST:
        number = number * 10 + u8(data, at) - _DIGIT_0
        at += 1
    return number


@part
def whole_number(data, at, end):
    """The number that the text is, -1 where it is something else."""
    if at >= end:
        return np.int64(-1)
    for i in range(at, end):
        if not is_digit(data[i]):
            return np.int64(-1)
    return leading_number(data, at, end)
