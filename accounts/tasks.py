"""What runs by the clock. Every task may run twice at the same time."""

from celery import shared_task

from accounts import signing_up


@shared_task(expires=3600)
def forget_unconfirmed() -> None:
    """Remove sign-ups that nobody has confirmed in time."""
    signing_up.forget_unconfirmed()
