"""The shapes of the API: they validate input strictly and document output.

Not here: rules that need the database (scheduler/manage), and how a view answers (api).
"""
