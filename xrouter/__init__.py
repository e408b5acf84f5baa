"""Wiring: settings, URLs, ASGI, Celery, and the command that starts everything. Imported by nobody."""
