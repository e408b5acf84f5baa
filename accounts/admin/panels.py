"""Tabs of a row's page that show and change nothing themselves: each is one template and its facts."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from django.http import HttpRequest
from django.template.loader import render_to_string
from unfold.datasets import BaseDataset

from accounts.models import Client


class Panel(BaseDataset, ABC):
    """A tab of a client's page, outside of its form."""

    tab = True
    model = Client  # Unfold asks for one
    name: ClassVar[str]
    title: ClassVar[Any]
    template_name: ClassVar[str]
    permission: ClassVar[str]

    def __init__(self, request: HttpRequest, extra_context: dict[str, Any] | None) -> None:
        self.request = request
        self.client_id = (extra_context or {}).get("object")

    @abstractmethod
    def facts(self, client: Client) -> dict[str, Any]:
        """What the template shows, in a bounded number of queries and rows."""

    @property
    def model_name(self) -> str:
        return self.name

    @property
    def contents(self) -> str:
        client = Client.objects.get(pk=self.client_id)
        context = {**self.facts(client), "client": client, "panel": self}
        return render_to_string(self.template_name, context, self.request)
