"""The web server: uvicorn's event loop under gunicorn's processes, with the limits that slow clients run into."""
