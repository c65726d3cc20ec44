"""Reveille's engine: triggers, the ledger clock, windows, invocations and runtimes.

Not here: the HTTP API and the pages (api), and settings (config).
"""
