"""Capture files' bytes and records: pcap and pcapng, plain or compressed, read and written."""
