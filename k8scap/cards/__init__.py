"""What cards are made of, in notebooks and terminals, and a finding's own."""

from __future__ import annotations
