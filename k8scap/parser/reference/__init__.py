"""tshark, asked through pyshark: the engine that the other one is held against, and any other field."""
