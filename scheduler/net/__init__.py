"""The guarded HTTP client: which addresses may be reached, with limits of size and time.

Not here: what is asked and what the answer means.
"""
