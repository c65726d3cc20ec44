"""The shapes of the API: they validate input strictly and document output."""
