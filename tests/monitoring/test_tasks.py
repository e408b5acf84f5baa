from datetime import timedelta

import pytest
from django.utils import timezone

from monitoring.models import Probe
from monitoring.tasks import KEPT, forget_old_probes
from tests.builders import make_provider


@pytest.mark.django_db
def test_old_probes_are_forgotten_and_others_kept():
    provider, now = make_provider(), timezone.now()
    Probe.objects.create(provider=provider, ok=True, at=now - KEPT - timedelta(minutes=1))
    kept = Probe.objects.create(provider=provider, ok=True, at=now - KEPT + timedelta(minutes=1))

    forget_old_probes()

    assert list(Probe.objects.all()) == [kept]
