"""Whom a request would be sent to: an operator types one, and sees what the planner says of it.

Nobody is asked and nothing is charged; what was typed is told back to whoever typed it, and kept nowhere.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from asgiref.sync import async_to_sync
from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.utils.decorators import method_decorator
from django.utils.formats import number_format
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_post_parameters
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from accounts.callers import Caller, load_caller
from accounts.errors import AccessDenied
from accounts.models import ApiKey, Client, Plan
from accounts.preferences import usable
from billing.models import Cap
from monitoring.vitals import Circuit
from providers.forms import ObjectField
from providers.wire import Chat
from routing import plane
from routing.admin.decisions import STRATEGIES, places
from routing.admin.pages import Pages
from routing.errors import RequestError
from routing.reading import read_chat

# What a request may be made of where only its kind matters to who is chosen.
FUNCTION = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}
FORMS = {
    "json_object": {"type": "json_object"},
    "json_schema": {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": {"type": "object", "properties": {}}},
    },
}
NOBODY = Caller(
    client_id=0,
    client="",
    key_id=0,
    plan="",
    is_test=False,
    is_blocked=False,
    digest=b"",
    expires_at=None,
    models=frozenset(),
    networks=(),
)
CIRCUITS = {Circuit.CLOSED: _("замкнут"), Circuit.OPEN: _("разомкнут"), Circuit.HALF_OPEN: _("пробует")}
NO_PLANE = _("Этот процесс не отвечает клиентам: откройте портал на рабочем сервере.")


class AutocompleteField(forms.ModelChoiceField):
    """A row that is looked for as it is typed, by the search of its own admin."""

    def __init__(self, model: type[Any], relation: Any, **kwargs: Any) -> None:
        widget = admin.widgets.AutocompleteSelect(relation, admin.site)
        super().__init__(model._default_manager.all(), required=False, widget=widget, **kwargs)


class TypedObject(ObjectField):
    """Empty to begin with."""

    def prepare_value(self, value: Any) -> Any:
        return "" if value is None else super().prepare_value(value)


class RequestForm(forms.Form):
    """A request: in its own JSON, or made of fields; a field that is filled takes the place of the JSON's."""

    model = forms.CharField(
        label=_("Модель"),
        required=False,
        widget=UnfoldAdminTextInputWidget({"autocomplete": "off", "placeholder": "gigachat/pro:floor"}),
        help_text=_("Имя в любом написании, с окончанием или без; xrouter/auto — выбор за нами."),
    )
    question = forms.CharField(
        label=_("Вопрос"), required=False, widget=UnfoldAdminTextareaWidget({"rows": 4})
    )
    max_tokens = forms.IntegerField(
        label="max_tokens", required=False, min_value=1, widget=UnfoldAdminIntegerFieldWidget
    )
    response_format = forms.ChoiceField(
        label="response_format",
        required=False,
        choices=[("", "—"), *((name, name) for name in FORMS)],
        widget=UnfoldAdminSelectWidget,
    )
    tools = forms.BooleanField(label=_("С функциями"), required=False, widget=UnfoldBooleanSwitchWidget)
    stream = forms.BooleanField(label=_("Потоком"), required=False, widget=UnfoldBooleanSwitchWidget)
    provider = TypedObject(
        label="provider",
        required=False,
        widget=UnfoldAdminTextareaWidget({"rows": 3, "placeholder": '{"sort": "price"}'}),
        help_text=_("Предпочтения, как в запросе."),
    )
    body = TypedObject(
        label=_("Запрос целиком (JSON)"),
        required=False,
        widget=UnfoldAdminTextareaWidget({"rows": 6}),
        help_text=_("Настоящий запрос клиента. Заполненное выше заменит то, что в нём."),
    )
    plan = forms.ChoiceField(
        label=_("Как клиент на тарифе"),
        choices=Plan,
        required=False,
        initial=Plan.PAID,
        widget=UnfoldAdminSelectWidget,
        help_text=_("Если не указаны ни ключ, ни клиент."),
    )

    def __init__(self, user: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if _may_see(user, "apikey"):
            self.fields["key"] = _key_field()
        if _may_see(user, "client"):
            self.fields["client"] = _client_field()

    def asked(self) -> Chat:
        """Raises RequestError."""
        given = self.cleaned_data
        body = dict(given["body"])
        for name in ("model", "max_tokens", "provider"):
            if given[name]:
                body[name] = given[name]
        if given["question"]:
            body["messages"] = [{"role": "user", "content": given["question"]}]
        if given["response_format"]:
            body["response_format"] = FORMS[given["response_format"]]
        if given["tools"]:
            body.setdefault("tools", [FUNCTION])
        if given["stream"]:
            body["stream"] = True
        return read_chat(json.dumps(body).encode())

    def caller(self) -> Caller:
        """Raises AccessDenied where such a request would be refused."""
        key, client = self.cleaned_data.get("key"), self.cleaned_data.get("client")
        if key is not None:
            found = load_caller(key.prefix)
            if found is None:
                raise AccessDenied(gettext("Этот ключ отключён."))
            found = replace(found, networks=())  # where the request comes from is not asked
            found.check("")
            return found
        if client is None:
            return replace(NOBODY, plan=self.cleaned_data["plan"] or Plan.PAID)
        wishes = usable(client.routing, f"client {client.pk}")
        is_blocked = not client.is_active
        who = replace(
            NOBODY, client_id=client.pk, client=client.name, plan=client.plan, is_blocked=is_blocked
        )
        who.check("")
        return replace(who, defaults=(wishes,) if wishes else ())


class ForesightPage(Pages):
    """For the admin of models."""

    @method_decorator(sensitive_post_parameters())
    def foresight_view(self, request: HttpRequest) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        named = {"model": request.GET.get("model", "")}
        form = RequestForm(request.user, request.POST or None, initial=named)
        found: dict[str, Any] = {}
        if request.method == "POST" and form.is_valid():
            try:
                found = _told(_foreseen(form, request.user))
            except (AccessDenied, RequestError) as exc:
                form.add_error(None, gettext(str(exc)))
            except IndexError:
                form.add_error(None, NO_PLANE)
        return self.shown(request, "routing/desk/foresight.html", _("Кого выбрали бы"), form=form, **found)


def _foreseen(form: RequestForm, user: Any) -> dict[str, Any]:
    """The planner's table. Raises AccessDenied, RequestError; IndexError where nobody answers customers."""
    knows_own = user.has_perm("billing.view_rate") or user.has_perm("billing.change_rate")
    caller, chat = form.caller(), form.asked()
    told: dict[str, Any] = async_to_sync(plane.current().foresee)(caller, chat, is_public=not knows_own)
    return told


def _told(table: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "table": table,
        "strategy": STRATEGIES[table["strategy"]],
        "places": [{**each, **_more(each)} for each in places(table)],
    }


def _more(place: Mapping[str, Any]) -> dict[str, Any]:
    circuit = Circuit(place["health"]["circuit"])
    return {
        "circuit": CIRCUITS[circuit],
        "is_well": circuit == Circuit.CLOSED and place["step_back"] == "none",
        "dearest": number_format(f"{place['max_cost']:.6f}"),
    }


def _may_see(user: Any, name: str) -> bool:
    return any(user.has_perm(f"accounts.{act}_{name}") for act in ("view", "change"))


def _key_field() -> AutocompleteField:
    return AutocompleteField(ApiKey, Cap._meta.get_field("key"), label=_("Как ключ"))


def _client_field() -> AutocompleteField:
    return AutocompleteField(
        Client,
        ApiKey._meta.get_field("client"),
        label=_("Как клиент"),
        help_text=_("С ключом без ограничений."),
    )
