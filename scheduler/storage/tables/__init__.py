"""The tables, as the migrations create them.

Not here: queries that read (scheduler/storage); statements that change rows stand beside their transactions.
"""
