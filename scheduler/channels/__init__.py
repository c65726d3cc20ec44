"""Chat providers whose people talk to agents: what they post, proven and read. One file each."""
