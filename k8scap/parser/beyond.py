"""What the columnar engine says of a file that is not for it."""


class BeyondThisEngineError(Exception):
    """A file that the columnar engine cannot read, and why: the other one is asked."""
