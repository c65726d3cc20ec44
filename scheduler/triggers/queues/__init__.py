"""Message queues that are consumed: one file for each, behind `base.Queue`."""
