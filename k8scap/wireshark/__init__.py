"""Wireshark itself: opening captures in it, and pods in its list of interfaces (extcap)."""
