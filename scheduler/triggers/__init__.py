"""Trigger kinds: one file each behind one Protocol, listed in the registry."""
