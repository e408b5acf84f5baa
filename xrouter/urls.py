"""Addresses. Inference requests are taken by the express lane before they come here, unless it is off."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import path

from routing import views


def healthz(_request: HttpRequest) -> HttpResponse:
    """200 while the process can serve: it listens only after the catalogue has been read."""
    return HttpResponse("ok\n", content_type="text/plain")


urlpatterns = [
    path("healthz", healthz),
    path("admin/", admin.site.urls),
    path("v1/chat/completions", views.ChatCompletions.as_view()),
]
