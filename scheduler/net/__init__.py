"""The guarded HTTP client."""
