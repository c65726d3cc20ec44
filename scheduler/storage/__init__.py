"""Tables, migrations, the engine, and the queries that read for a page or a list.

Not here: statements that change state, which stand beside their transaction.
"""
