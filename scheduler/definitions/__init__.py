"""Definitions as code: files of models, agents, triggers and targets, read and written without a database.

Not here: what becomes of them in the database (scheduler/manage/definitions).
"""
