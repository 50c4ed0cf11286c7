"""Which conversations speak a protocol that Wireshark reads, which frames tell, and what they say."""
