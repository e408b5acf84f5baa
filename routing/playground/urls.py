"""The addresses of the playground, below the dashboard."""

from django.urls import path

from routing.playground.views import (
    Answer,
    AnyPlayground,
    Chat,
    Code,
    Conversations,
    KeptConversation,
    Playground,
)

BELOW = "<int:pk>/playground/"

urlpatterns = [
    path("playground/", AnyPlayground.as_view(), name="playground-any"),
    path(BELOW, Playground.as_view(), name="playground"),
    path(f"{BELOW}chat/", Chat.as_view(), name="playground-chat"),
    path(f"{BELOW}code/", Code.as_view(), name="playground-code"),
    path(f"{BELOW}answers/<uuid:generation>/", Answer.as_view(), name="playground-answer"),
    path(f"{BELOW}conversations/", Conversations.as_view(), name="playground-conversations"),
    path(f"{BELOW}conversations/<uuid:number>/", KeptConversation.as_view(), name="playground-conversation"),
]
