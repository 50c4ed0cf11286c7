"""What is carried from packet to packet: numbers of addresses and conversations, TCP's state."""
