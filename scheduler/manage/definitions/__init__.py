"""Definitions as code in the database: compares files with what exists, and applies the differences.

Everything happens in one transaction, through the same services as any other change; a dry run rolls it back.
"""
