"""The customers' pages."""

from django.urls import path

from billing.views import ClientPage, Dashboard

urlpatterns = [
    path("", Dashboard.as_view(), name="dashboard"),
    path("<int:pk>/", ClientPage.as_view(), name="client"),
]
