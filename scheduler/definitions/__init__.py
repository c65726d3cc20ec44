"""Definitions as code: files of models, agents, triggers and targets, read and written without a database.

What becomes of them in the database is in `scheduler/manage/definitions`.
"""
