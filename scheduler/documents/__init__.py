"""Documents of strangers: pages, feeds, calendars, mails. Pure readers, and the process apart that runs them.

Each reader takes bytes and gives JSON, or raises Unreadable. None requests anything or knows of triggers.
"""
