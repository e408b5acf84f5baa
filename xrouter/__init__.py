"""Wiring: settings, URLs, ASGI, Celery, and the command that starts everything. Imported by nobody."""

from xrouter.celery import app as celery_app

__all__ = ["celery_app"]
