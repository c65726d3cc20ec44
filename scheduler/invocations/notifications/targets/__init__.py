"""Where notifications are sent besides: one file for each kind, in one registry."""
