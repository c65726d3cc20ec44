"""Recording firings, dispatching windows, recovering lost work."""
