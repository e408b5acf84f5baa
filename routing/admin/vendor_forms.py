"""What an operator chooses before he asks a provider something."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminSelectWidget

from monitoring.trial import CHAT, MODELS, Question
from providers.models import Provider
from routing.models import Endpoint, Kind


class TrialForm(forms.Form):
    ask = forms.ChoiceField(
        label=_("О чём спросить"),
        choices=[
            (MODELS, _("Список моделей: бесплатно")),
            (CHAT, _("Ответ в один токен: платно, по тарифу провайдера")),
        ],
        widget=UnfoldAdminSelectWidget,
    )
    endpoint = forms.ModelChoiceField(
        label=_("Исполнитель"),
        queryset=Endpoint.objects.none(),
        required=False,
        empty_label=_("— любой —"),
        widget=UnfoldAdminSelectWidget,
        help_text=_("Чью модель спросить; для списка моделей не нужен."),
    )
    credential = forms.ModelChoiceField(
        label=_("Доступ"),
        queryset=None,
        required=False,
        empty_label=_("— первый из работающих —"),
        widget=UnfoldAdminSelectWidget,
    )

    def __init__(self, *args: Any, provider: Provider, asked: Provider, **kwargs: Any) -> None:
        """``asked``: who is asked in the name of ``provider``."""
        super().__init__(*args, **kwargs)
        real = provider.twin_of or provider
        self.fields["endpoint"].queryset = real.endpoints.select_related("model", "provider")
        self.fields["endpoint"].label_from_instance = lambda row: f"{row.model} ({row.upstream_name})"
        usable = asked.credentials.filter(is_enabled=True, awaits_secret=False)
        self.fields["credential"].queryset = usable
        self.fields["credential"].label_from_instance = lambda row: row.label

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if cleaned.get("ask") == CHAT and not cleaned.get("endpoint"):
            self.add_error("endpoint", _("Выберите, чью модель спросить."))
        return cleaned

    def question(self) -> Question:
        endpoint = self.cleaned_data["endpoint"]
        if self.cleaned_data["ask"] == MODELS:
            return Question()
        return Question(
            is_chat=True,
            model=endpoint.upstream_name,
            embeds=endpoint.model.kind == Kind.EMBEDDINGS,
            options=endpoint.options,
            features=frozenset(endpoint.features),
        )

    def credential_id(self) -> int | None:
        chosen = self.cleaned_data["credential"]
        return chosen.pk if chosen else None
