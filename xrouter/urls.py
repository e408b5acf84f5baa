"""Addresses. Inference requests are taken by the express lane before they come here, unless it is off."""

from django.contrib import admin
from django.urls import path

from routing import views


urlpatterns = [
    path("admin/", admin.site.urls),
    path("v1/chat/completions", views.ChatCompletions.as_view()),
]
