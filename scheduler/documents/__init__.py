"""Reads untrusted documents: pages, feeds, calendars and mails, with pure readers that run in a separate process.

Each reader takes bytes and returns JSON, or raises Unreadable. Not here: requests and triggers.
"""
