"""Telling people what a woken agent has to say: in their sessions, live, and where else they want it sent."""
