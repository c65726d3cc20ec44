"""The web server: uvicorn's event loop in gunicorn's processes, with limits for slow clients.

Not here: routes and requests (api), and the number of processes (config/gunicorn.py).
"""
