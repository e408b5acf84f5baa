"""The way in and out. Of allauth's addresses there are these and no others."""

from allauth.account import views as account
from allauth.mfa.base import views as mfa
from allauth.mfa.recovery_codes import views as recovery
from allauth.mfa.totp import views as totp
from django.urls import path
from django.views.decorators.cache import never_cache

from accounts.views import SetUpTotp, SignIn, SignOut, StopLooking

urlpatterns = [
    # Under our name and under the one that allauth asks for.
    path("login/", SignIn.as_view(), name="login"),
    path("login/", SignIn.as_view(), name="account_login"),
    path("logout/", SignOut.as_view(), name="logout"),
    path("logout/", SignOut.as_view(), name="account_logout"),
    path("reauthenticate/", never_cache(account.reauthenticate), name="account_reauthenticate"),
    path("mfa/", never_cache(mfa.index), name="mfa_index"),
    path("mfa/authenticate/", mfa.authenticate, name="mfa_authenticate"),
    path("mfa/reauthenticate/", never_cache(mfa.reauthenticate), name="mfa_reauthenticate"),
    path("mfa/totp/activate/", SetUpTotp.as_view(), name="mfa_activate_totp"),
    path("mfa/totp/deactivate/", never_cache(totp.deactivate_totp), name="mfa_deactivate_totp"),
    path("mfa/recovery-codes/", recovery.view_recovery_codes, name="mfa_view_recovery_codes"),
    path(
        "mfa/recovery-codes/generate/",
        never_cache(recovery.generate_recovery_codes),
        name="mfa_generate_recovery_codes",
    ),
    path(
        "mfa/recovery-codes/download/", recovery.download_recovery_codes, name="mfa_download_recovery_codes"
    ),
    path("looking/stop/", StopLooking.as_view(), name="stop-looking"),
]
