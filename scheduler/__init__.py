"""Reveille's engine: triggers, the ledger clock, windows, invocations and runtimes."""
