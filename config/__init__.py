"""Settings, logging and server configuration."""
