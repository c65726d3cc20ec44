"""Tests of the Python client, against the real service."""
