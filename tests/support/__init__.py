"""Helpers that tests share: databases, factories, clients and stand-ins for other programs."""
