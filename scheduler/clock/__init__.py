"""What is APScheduler's: job stores, executor, scheduler, passes, listener and duties; its only importer.

Not here: what people may do with triggers (scheduler/manage), and how firings are written (scheduler/firings).
"""
