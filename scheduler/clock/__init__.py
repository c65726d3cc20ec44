"""The only importer of APScheduler: job stores, executor, scheduler and sync."""
