"""What runs by the clock. Every task may run twice at the same time."""

from celery import shared_task

from billing import alerts, audit, deliveries, ledger, proposals, sampling, usage


@shared_task(expires=15)
def reap_holds() -> None:
    """Release what is held for requests that will not end any more."""
    while ledger.reap():  # a batch at a time
        pass


@shared_task(expires=240)
def audit_ledger() -> None:
    """Check the books and keep the report."""
    audit.watch()


@shared_task(expires=60)
def send_alerts() -> None:
    """Tell clients that their money or a key's cap runs out."""
    alerts.send_alerts()


@shared_task(expires=3600)
def expire_proposals() -> None:
    """End proposals that nobody has signed in time."""
    proposals.expire()


@shared_task(expires=1800)
def work_out_medians() -> None:
    """Work out what clients usually set sampling parameters to."""
    sampling.work_out_medians()


@shared_task(expires=50)
def sum_up_usage() -> None:
    """Count hours whose generations have changed."""
    usage.sum_up()


@shared_task(expires=15)
def send_notices() -> None:
    """Carry what customers want to be told to them."""
    deliveries.send_due()


@shared_task(expires=3600)
def forget_notices() -> None:
    """Remove what was told long ago."""
    deliveries.forget()
