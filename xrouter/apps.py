"""Django's admin with our site for it."""

from django.contrib.admin.apps import AdminConfig


class PortalConfig(AdminConfig):
    default_site = "xrouter.portal.Portal"
