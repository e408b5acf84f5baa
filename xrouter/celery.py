"""The Celery application: its settings are Django's, its tasks are the apps' ``tasks`` modules."""

import os
from typing import Any

from celery import Celery
from celery.signals import after_task_publish, beat_init, celeryd_init, heartbeat_sent

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "xrouter.settings")

from monitoring import heartbeats

app = Celery("xrouter")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.worker_hijack_root_logger = False  # logs go Django's way: one JSON object a line
app.autodiscover_tasks()


# By how much the worker comes after the web processes where both want the processor: it has time, and its
# tasks come together, every quarter of a minute, which would be felt.
LOWER = 10


@celeryd_init.connect
def _let_requests_go_first(**_: Any) -> None:
    os.nice(LOWER)


@heartbeat_sent.connect
def _worker_lives(**_: Any) -> None:
    heartbeats.tell(heartbeats.WORKER)


@beat_init.connect
def _beat_begins(**_: Any) -> None:
    # In beat's process only: others may publish tasks, too.
    _beat_lives()
    after_task_publish.connect(_beat_lives, weak=False)


def _beat_lives(**_: Any) -> None:
    heartbeats.tell(heartbeats.BEAT)
