"""Definitions as code in the database: what files want is compared with what is there, and made so.

Everything happens in one transaction, through the same services as any other change; a dry run rolls it back.
"""
