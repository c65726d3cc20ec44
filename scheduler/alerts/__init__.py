"""Alerts: the rules that find trouble, the watch that opens and closes alerts, and what people do with them.

Not here: mending what is found; the other packages do that.
"""
