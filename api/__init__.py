"""The HTTP API and the admin pages.

Not here: business rules; views call the services (scheduler/manage).
"""
