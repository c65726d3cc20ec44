"""The Procrastinate side: our tasks and the worker that runs them.

Not here: what the tasks do (scheduler/invocations, scheduler/intake, scheduler/notifications).
"""
