"""The customers' pages."""

from django.urls import path

from billing.billing_views import BillingPage
from billing.invoice_views import InvoicePage, Invoices, NewInvoice, WithdrawInvoice
from billing.key_pages import KeyPage, Keys, NewKey, RemoveKey, RotateKey, StartKey, StopKey
from billing.ledger_views import Movements, MovementsExport
from billing.notice_views import (
    NewSecret,
    NewWebhook,
    Notices,
    RemoveWebhook,
    SwitchWebhook,
    TryWebhook,
    WebhookPage,
)
from billing.usage_views import UsageExport, UsageGenerations, UsagePage
from billing.views import ClientPage, Dashboard, Promo

urlpatterns = [
    path("", Dashboard.as_view(), name="dashboard"),
    path("<int:pk>/", ClientPage.as_view(), name="client"),
    path("<int:pk>/movements/", Movements.as_view(), name="movements"),
    path("<int:pk>/movements/export/", MovementsExport.as_view(), name="movements-export"),
    path("<int:pk>/billing/", BillingPage.as_view(), name="billing"),
    path("<int:pk>/billing/invoices/", Invoices.as_view(), name="invoices"),
    path("<int:pk>/billing/invoices/new/", NewInvoice.as_view(), name="invoice-new"),
    path("<int:pk>/billing/invoices/<int:number>/", InvoicePage.as_view(), name="invoice"),
    path(
        "<int:pk>/billing/invoices/<int:number>/withdraw/", WithdrawInvoice.as_view(), name="invoice-withdraw"
    ),
    path("<int:pk>/notices/", Notices.as_view(), name="notices"),
    path("<int:pk>/notices/webhooks/new/", NewWebhook.as_view(), name="webhook-new"),
    path("<int:pk>/notices/webhooks/<int:number>/", WebhookPage.as_view(), name="webhook"),
    path("<int:pk>/notices/webhooks/<int:number>/test/", TryWebhook.as_view(), name="webhook-test"),
    path("<int:pk>/notices/webhooks/<int:number>/secret/", NewSecret.as_view(), name="webhook-secret"),
    path("<int:pk>/notices/webhooks/<int:number>/switch/", SwitchWebhook.as_view(), name="webhook-switch"),
    path("<int:pk>/notices/webhooks/<int:number>/remove/", RemoveWebhook.as_view(), name="webhook-remove"),
    path("<int:pk>/promo/", Promo.as_view(), name="promo"),
    path("<int:pk>/keys/", Keys.as_view(), name="keys"),
    path("<int:pk>/keys/new/", NewKey.as_view(), name="key-new"),
    path("<int:pk>/keys/<int:number>/", KeyPage.as_view(), name="key"),
    path("<int:pk>/keys/<int:number>/stop/", StopKey.as_view(), name="key-stop"),
    path("<int:pk>/keys/<int:number>/remove/", RemoveKey.as_view(), name="key-remove"),
    path("<int:pk>/keys/<int:number>/start/", StartKey.as_view(), name="key-start"),
    path("<int:pk>/keys/<int:number>/rotate/", RotateKey.as_view(), name="key-rotate"),
    path("<int:pk>/usage/", UsagePage.as_view(), name="usage"),
    path("<int:pk>/usage/export/", UsageExport.as_view(), name="usage-export"),
    path("<int:pk>/usage/generations/", UsageGenerations.as_view(), name="usage-generations"),
]
