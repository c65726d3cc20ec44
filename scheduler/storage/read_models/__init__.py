"""Read models: the queries of pages and lists, with the rows that these show.

Not here: queries of which something is decided or changed, which stand beside their transactions.
"""
