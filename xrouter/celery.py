"""The Celery application: its settings are Django's, its tasks are the apps' ``tasks`` modules."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "xrouter.settings")

app = Celery("xrouter")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
