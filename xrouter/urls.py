"""Addresses. Inference requests are taken by the express lane before they come here, unless it is off."""

from django.contrib import admin
from django.templatetags.static import static
from django.urls import include, path, re_path
from django.views.generic import RedirectView

from accounts.language import set_language
from routing import explanations, key_views, views
from routing.customers import Cheaper, GenerationPage
from routing.embeddings.view import Embeddings
from routing.pages.views import Compare, ModelPage, Models
from routing.status_page import views as status_views
from xrouter.views import Docs, Landing, Redoc, guide, guide_in_my_language, guide_source, llms

# Names have slashes in them, and what somebody takes for a name may have anything: a line break, too.
NAME = r"(?P<model>[\s\S]+)"
PLAIN_NAME = r"(?P<model>[\s\S]*[^/])"

V1 = [
    path("chat/completions", views.ChatCompletions.as_view()),
    path("chat/completions/", views.ChatCompletions.as_view(schema=None)),
    path("completions", views.TextCompletions.as_view()),
    path("completions/", views.TextCompletions.as_view(schema=None)),
    path("embeddings", Embeddings.as_view()),
    path("embeddings/", Embeddings.as_view(schema=None)),
    path("models", views.ModelList.as_view()),
    path("models/", views.ModelList.as_view(schema=None)),
    re_path(rf"^models/{NAME}/endpoints\Z", explanations.ModelEndpoints.as_view()),
    re_path(rf"^models/{NAME}/endpoints/\Z", explanations.ModelEndpoints.as_view(schema=None)),
    re_path(rf"^models/{NAME}/capabilities\Z", explanations.ModelCapabilities.as_view()),
    re_path(rf"^models/{NAME}/capabilities/\Z", explanations.ModelCapabilities.as_view(schema=None)),
    re_path(rf"^models/{PLAIN_NAME}/\Z", views.ModelDetail.as_view(schema=None)),
    re_path(rf"^models/{NAME}\Z", views.ModelDetail.as_view()),
    re_path(rf"^parameters/{PLAIN_NAME}\Z", views.ModelParameters.as_view()),
    re_path(rf"^parameters/{PLAIN_NAME}/\Z", views.ModelParameters.as_view(schema=None)),
    path("auth/key", views.KeyDetail.as_view()),
    path("auth/key/", views.KeyDetail.as_view(schema=None)),
    path("key", views.Key.as_view()),
    path("key/", views.KeyDetail.as_view(schema=None)),
    path("keys", key_views.ManagedKeys.as_view()),
    path("keys/", key_views.ManagedKeys.as_view(schema=None)),
    path("keys/<str:id>", key_views.ManagedKey.as_view()),
    path("keys/<str:id>/", key_views.ManagedKey.as_view(schema=None)),
    path("keys/<str:id>/rotate", key_views.ManagedKeyRotation.as_view()),
    path("keys/<str:id>/rotate/", key_views.ManagedKeyRotation.as_view(schema=None)),
    path("credits", views.Credits.as_view()),
    path("credits/", views.Credits.as_view(schema=None)),
    path("generation", views.GenerationDetail.as_view()),
    path("generation/", views.GenerationDetail.as_view(schema=None)),
    path("generation/route", explanations.GenerationRoute.as_view()),
    path("generation/route/", explanations.GenerationRoute.as_view(schema=None)),
    path("route/plan", explanations.RoutePlan.as_view()),
    path("route/plan/", explanations.RoutePlan.as_view(schema=None)),
    path("providers/status", explanations.ProviderStatus.as_view()),
    path("providers/status/", explanations.ProviderStatus.as_view(schema=None)),
    path("openapi.json", views.Schema.as_view(), name="openapi"),
]

GUIDES = [
    path("", guide_in_my_language, name="guides"),
    re_path(r"^(?P<language>ru|en)/$", guide, name="guide"),
    re_path(r"^(?P<language>ru|en)/(?P<name>[\w-]+)/$", guide, name="guide"),
    re_path(r"^(?P<language>ru|en)/(?P<name>[\w-]+)\.md$", guide_source, name="guide-source"),
    re_path(r"^(?P<name>[\w-]+)/$", guide_in_my_language),
]

urlpatterns = [
    path("", Landing.as_view(), name="landing"),
    path("", include("accounts.urls")),
    path(
        "dashboard/<int:pk>/usage/generations/<uuid:generation>/",
        GenerationPage.as_view(),
        name="usage-generation",
    ),
    path("dashboard/", include("routing.playground.urls")),
    path("dashboard/<int:pk>/usage/cheaper/", Cheaper.as_view(), name="usage-cheaper"),
    path("dashboard/", include("billing.urls")),
    path("models/", Models.as_view(), name="models"),
    path("models/compare/", Compare.as_view(), name="models-compare"),
    re_path(rf"^models/{NAME}/\Z", ModelPage.as_view(), name="model"),
    path("status/", status_views.page, name="status"),
    path("status.json", status_views.machine, name="status-json"),
    path("status/incidents.atom", status_views.feed, name="status-feed"),
    path("docs/", Docs.as_view(), name="docs"),
    path("docs/redoc/", Redoc.as_view(), name="redoc"),
    path("docs/guides/", include(GUIDES)),
    path("llms.txt", llms),
    path("i18n/setlang/", set_language, name="set_language"),
    path("admin/", admin.site.urls),
    path("v1/", include(V1)),
    # Browsers ask for it on pages that name no icon: the admin, answers in JSON.
    path("favicon.ico", RedirectView.as_view(url=static("pages/favicon.svg"))),
    # Whatever is asked of the API is answered in its own form.
    re_path(r"^v1(/[\s\S]*)?\Z", views.Nowhere.as_view()),
]

handler400 = "xrouter.views.bad_request"
handler429 = "accounts.views.too_many_requests"  # asked for by allauth
handler500 = "xrouter.views.server_error"
