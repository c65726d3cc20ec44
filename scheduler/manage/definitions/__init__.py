"""Definitions as code in the database: compares files with what exists, and applies the differences.

Everything happens in one transaction, through the services of any other change; a dry run rolls it back. Not here:
how files are read (scheduler/definitions).
"""
