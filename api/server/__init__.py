"""The web server: uvicorn's event loop in gunicorn's processes, with limits for slow clients."""
