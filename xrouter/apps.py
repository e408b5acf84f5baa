"""Django's admin with our site for it, and with the journal of what is changed."""

from django.contrib.admin.apps import AdminConfig


class PortalConfig(AdminConfig):
    default_site = "xrouter.portal.Portal"

    def ready(self) -> None:
        super().ready()
        from xrouter import audited  # noqa: PLC0415 - models are there only now

        audited.watch()
