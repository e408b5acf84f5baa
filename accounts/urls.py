"""The way in and out."""

from django.contrib.auth.views import LogoutView
from django.urls import path

from accounts.views import SignIn, StopLooking

urlpatterns = [
    path("login/", SignIn.as_view(), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("looking/stop/", StopLooking.as_view(), name="stop-looking"),
]
