"""Bytes of frames → facts: what link, network and transport headers say, one row of numbers a packet."""
