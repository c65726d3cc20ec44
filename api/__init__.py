"""The HTTP API and the admin pages."""
