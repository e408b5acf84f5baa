"""The customers' pages."""

from django.urls import path

from billing.key_pages import KeyPage, Keys, NewKey, RemoveKey, RotateKey, StartKey, StopKey
from billing.usage_views import UsageExport, UsageGenerations, UsagePage
from billing.views import ClientPage, Dashboard, Movements, Promo

urlpatterns = [
    path("", Dashboard.as_view(), name="dashboard"),
    path("<int:pk>/", ClientPage.as_view(), name="client"),
    path("<int:pk>/movements/", Movements.as_view(), name="movements"),
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
