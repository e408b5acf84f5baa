"""Moments as the portal tells them, the same in every language; by the installation's clock."""

from datetime import datetime

from django.utils import timezone


def to_minute(moment: datetime) -> str:
    return f"{timezone.localtime(moment):%d.%m.%Y %H:%M}"


def to_second(moment: datetime) -> str:
    return f"{timezone.localtime(moment):%d.%m.%Y %H:%M:%S}"
