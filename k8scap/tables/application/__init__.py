"""What applications said: for each protocol, Wireshark's fields → requests and their answers."""
