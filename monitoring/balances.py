"""Asks vendors who are paid in advance what is left. By the clock, and when an operator wants to know."""

import logging
from dataclasses import replace

from django.utils import timezone

from monitoring.models import Balance
from monitoring.probes import authorization, target
from providers.adapters import ADAPTERS
from providers.errors import UpstreamError
from providers.models import Credential, Provider
from providers.transports import sync
from providers.upstreams import Login, Timeouts, Upstream
from providers.vault import VaultError

log = logging.getLogger(__name__)

# Seconds for one answer.
LIMITS = Timeouts(connect=3, first_byte=10, total=15)


def tells_balance(provider: Provider) -> bool:
    """Whether its vendor can be asked."""
    adapter = ADAPTERS.get(provider.adapter)
    return adapter is not None and adapter.balance_request(target(_shape(provider), "")) is not None


def read_all() -> None:
    """Ask for every credential that is in use. Blocks."""
    usable = Credential.objects.filter(is_enabled=True, awaits_secret=False, provider__is_enabled=True)
    for credential in usable.select_related("provider"):
        if tells_balance(credential.provider):
            read(credential)


def read(credential: Credential) -> Balance:
    """Ask for one credential; what was known stays where the vendor does not answer. Blocks."""
    found, _ = Balance.objects.get_or_create(credential=credential)
    found.tried_at = timezone.now()
    try:
        packages = _asked(credential)
    except (UpstreamError, VaultError) as exc:
        found.kind = type(exc).__name__
        log.warning("a balance was not told", extra={"credential": credential.label, "error": found.kind})
    else:
        found.kind, found.read_at = "", found.tried_at
        found.has_packages, found.packages = packages is not None, dict(packages or {})
    found.save()
    return found


def _asked(credential: Credential) -> dict[str, int] | None:
    provider, login = credential.provider, credential.login()
    upstream = replace(_shape(provider), logins=(login,))
    adapter = ADAPTERS[provider.adapter]
    request = adapter.balance_request(target(upstream, authorization(upstream, login)))
    packages = adapter.balance(sync.send(request, upstream))
    return None if packages is None else dict(packages)


def _shape(provider: Provider) -> Upstream:
    """Where it is and how it speaks; who we are there is for the caller to say."""
    nobody: tuple[Login, ...] = ()
    return Upstream(
        slug=provider.slug,
        adapter=provider.adapter,
        base_url=provider.base_url,
        auth_url=provider.auth_url,
        ca_bundle=provider.ca_bundle,
        options=provider.options,
        logins=nobody,
        timeouts=LIMITS,
    )
