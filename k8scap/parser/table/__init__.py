"""Numbers of frames into the columns of the packets table."""
