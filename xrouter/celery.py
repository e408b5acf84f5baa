"""The Celery application: its settings are Django's, its tasks are the apps' ``tasks`` modules."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "xrouter.settings")

app = Celery("xrouter")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.worker_hijack_root_logger = False  # logs go Django's way: one JSON object a line
app.autodiscover_tasks()
