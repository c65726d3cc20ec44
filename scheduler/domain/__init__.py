"""Pure rules and shapes: no I/O, nothing of ours imported."""
