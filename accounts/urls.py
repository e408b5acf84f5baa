"""The way in and out. Of allauth's addresses there are these and no others."""

from allauth.account import views as account
from allauth.mfa.base import views as mfa
from allauth.mfa.recovery_codes import views as recovery
from allauth.mfa.totp import views as totp
from django.urls import path, re_path
from django.views.decorators.cache import never_cache

from accounts.joining_views import InvitationLink, InvitationPage, SignUp, agreement
from accounts.own_views import Account, EndSession, NewOrganisation, Sessions
from accounts.team_views import ChangeRole, Leave, Members, RemoveMember, WithdrawInvitation
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
    path("signup/", SignUp.as_view(), name="account_signup"),
    path(
        "signup/sent/", never_cache(account.email_verification_sent), name="account_email_verification_sent"
    ),
    path("signup/confirm/<str:key>/", never_cache(account.confirm_email), name="account_confirm_email"),
    path("legal/<slug:document>/", agreement, name="agreement"),
    path("legal/<slug:document>/<slug:version>/", agreement, name="agreement-version"),
    path("password/reset/", never_cache(account.password_reset), name="account_reset_password"),
    path(
        "password/reset/sent/", never_cache(account.password_reset_done), name="account_reset_password_done"
    ),
    re_path(
        r"^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>[\w-]+)/\Z",
        never_cache(account.password_reset_from_key),
        name="account_reset_password_from_key",
    ),
    path(
        "password/reset/done/",
        never_cache(account.password_reset_from_key_done),
        name="account_reset_password_from_key_done",
    ),
    path("account/", Account.as_view(), name="account"),
    path("account/password/", never_cache(account.password_change), name="account_change_password"),
    # Whoever has no password yet gets one by a letter.
    path("account/password/new/", never_cache(account.password_reset), name="account_set_password"),
    path("account/organisations/new/", NewOrganisation.as_view(), name="new-organisation"),
    path("account/sessions/", Sessions.as_view(), name="sessions"),
    path("account/sessions/<int:pk>/end/", EndSession.as_view(), name="end-session"),
    path("dashboard/<int:pk>/members/", Members.as_view(), name="members"),
    path("dashboard/<int:pk>/members/<int:number>/role/", ChangeRole.as_view(), name="change-role"),
    path("dashboard/<int:pk>/members/<int:number>/remove/", RemoveMember.as_view(), name="remove-member"),
    path(
        "dashboard/<int:pk>/invitations/<int:number>/withdraw/",
        WithdrawInvitation.as_view(),
        name="withdraw-invitation",
    ),
    path("dashboard/<int:pk>/leave/", Leave.as_view(), name="leave"),
    path("invitations/<str:token>/", InvitationLink.as_view(), name="invitation-link"),
    path("invitation/", InvitationPage.as_view(), name="invitation"),
    path("looking/stop/", StopLooking.as_view(), name="stop-looking"),
]
