"""Definitions as code: files of models, agents, triggers, targets and channels, read and written without a database.

Not here: what becomes of them in the database (scheduler/manage/definitions).
"""
