"""The APScheduler side: job stores, executor, scheduler, passes, listener and duties. Nothing else imports it.

Not here: what people may do with triggers (scheduler/manage), and how firings are written (scheduler/firings).
"""
