"""Where a client's people choose what they are told, by mail and by webhook, and see what became of it."""

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts import journal
from accounts.models import Change, Client, Membership, Role
from billing import deliveries, outside
from billing.billing_views import MoneyView
from billing.errors import TooManyChannels
from billing.models import Channel, ChannelKind, Delivery
from billing.models.notices import CHOSEN, USUAL
from billing.webhooks import give_secret

# What is told may go to anywhere: those decide who decide who belongs here.
KEEPERS = {Role.OWNER, Role.ADMIN}
# Of one client.
MOST_WEBHOOKS = 5
SHOWN_DELIVERIES = 50
TESTS_AT_ONCE = 5


class EventsField(forms.MultipleChoiceField):
    def __init__(self, **kwargs: Any) -> None:
        chosen = forms.CheckboxSelectMultiple
        super().__init__(label=_("О чём сообщать"), choices=CHOSEN, widget=chosen, required=False, **kwargs)


class ReadersField(forms.ModelMultipleChoiceField):
    def label_from_instance(self, member: Membership) -> str:
        return f"{member.user.email} — {gettext(member.get_role_display())}"


class MailForm(forms.Form):
    events = EventsField()
    readers = ReadersField(
        label=_("Кому"),
        queryset=None,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("Никто не отмечен — владельцам, администраторам и бухгалтерам."),
    )

    def __init__(self, client: Client, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        members = client.memberships.select_related("user").filter(user__is_active=True)
        self.fields["readers"].queryset = members.order_by("user__email")


class WebhookForm(forms.Form):
    url = forms.CharField(
        label=_("Адрес"),
        max_length=outside.LONGEST_URL,
        widget=forms.TextInput(
            attrs={"inputmode": "url", "autocomplete": "off", "placeholder": "https://example.ru/xrouter"}
        ),
        help_text=_("https:// и публичный адрес."),
    )
    events = EventsField()

    def __init__(self, channel: Channel, *args: Any, **kwargs: Any) -> None:
        self.channel = channel
        super().__init__(*args, **kwargs)

    def clean_url(self) -> str:
        url: str = self.cleaned_data["url"]
        try:
            outside.target_of(url)
        except outside.BadAddress as exc:
            raise ValidationError(gettext(str(exc))) from exc
        if self.channel.client.channels.filter(url=url).exclude(pk=self.channel.pk).exists():
            raise ValidationError(gettext("Вебхук с этим адресом уже есть."))
        return url

    def clean_events(self) -> list[str]:
        events: list[str] = self.cleaned_data["events"]
        if not events:
            raise ValidationError(gettext("Выберите хотя бы одно событие."))
        return events


class NoticesView(MoneyView):
    """Pages of notices, which all members see and some may write on."""

    def may_keep(self, client: Client) -> bool:
        return self.role_in(client) in KEEPERS

    def kept(self, pk: int) -> Client:
        """The client whose webhooks are to be changed. Raises Http404, PermissionDenied."""
        client = self.client(pk)
        if not self.may_keep(client):
            raise PermissionDenied
        return client

    def webhook(self, client: Client, number: int) -> Channel:
        return get_object_or_404(client.channels.webhooks(), pk=number)

    def shown_once(self, client: Client, channel: Channel, secret: str) -> HttpResponse:
        context = {"client": client, "channel": channel, "secret": secret}
        return render(self.request, "billing/webhook_secret.html", context)


class Notices(NoticesView):
    """What goes by mail and to whom, and the webhooks."""

    def get(self, request: HttpRequest, pk: int) -> HttpResponse:
        client = self.client(pk)
        mail = client.channels.filter(kind=ChannelKind.MAIL).first()
        readers = list(mail.readers.values_list("pk", flat=True)) if mail else []
        known = {"events": mail.events if mail else USUAL, "readers": readers}
        return self._shown(client, MailForm(client, initial=known))

    def post(self, request: HttpRequest, pk: int) -> HttpResponse:
        client = self.payers(pk)
        form = MailForm(client, request.POST)
        if not form.is_valid():
            return self._shown(client, form)
        with transaction.atomic():
            mail = Channel.objects.mail_of(client)
            mail.events = form.cleaned_data["events"]
            mail.save(update_fields=["events"])
            mail.readers.set(form.cleaned_data["readers"])
        messages.success(request, gettext("Сохранено."))
        return redirect("notices", pk)

    def _shown(self, client: Client, form: MailForm) -> HttpResponse:
        context = {
            "client": client,
            "form": form,
            "webhooks": client.channels.webhooks(),
            "may_pay": self.may_pay(client),
            "may_keep": self.may_keep(client),
        }
        return render(self.request, "billing/notices.html", context)


class NewWebhook(NoticesView):
    def get(self, request: HttpRequest, pk: int) -> HttpResponse:
        client = self.kept(pk)
        return self._asked(client, WebhookForm(Channel(client=client), initial={"events": USUAL}))

    def post(self, request: HttpRequest, pk: int) -> HttpResponse:
        client = self.kept(pk)
        channel = Channel(client=client, kind=ChannelKind.WEBHOOK, created_by=request.user.email)
        form = WebhookForm(channel, request.POST)
        with transaction.atomic():
            # Locked, so that two at the same time are counted one after the other, and compared.
            Client.objects.select_for_update(no_key=True).get(pk=client.pk)
            if client.channels.webhooks().count() >= MOST_WEBHOOKS:
                form.add_error(None, gettext(TooManyChannels.said))
            if not form.is_valid():
                return self._asked(client, form)
            channel.url, channel.events = form.cleaned_data["url"], form.cleaned_data["events"]
            secret = give_secret(channel)
            channel.save(force_insert=True)
            _note(channel, {"url": ("", channel.url)}, Change.Action.CREATE)
        return self.shown_once(client, channel, secret)

    def _asked(self, client: Client, form: WebhookForm) -> HttpResponse:
        return render(self.request, "billing/webhook_new.html", {"client": client, "form": form})


class WebhookPage(NoticesView):
    """One webhook: where it leads, what it is for, and what became of what it was told."""

    def get(self, request: HttpRequest, pk: int, number: int) -> HttpResponse:
        client = self.client(pk)
        channel = self.webhook(client, number)
        form = WebhookForm(channel, initial={"url": channel.url, "events": channel.events})
        return self._shown(client, channel, form)

    def post(self, request: HttpRequest, pk: int, number: int) -> HttpResponse:
        client = self.kept(pk)
        channel = self.webhook(client, number)
        form = WebhookForm(channel, request.POST)
        if not form.is_valid():
            return self._shown(client, channel, form)
        with transaction.atomic():
            before = {"url": channel.url, "events": ", ".join(channel.events)}
            channel.url, channel.events = form.cleaned_data["url"], form.cleaned_data["events"]
            channel.save(update_fields=["url", "events"])
            after = {"url": channel.url, "events": ", ".join(channel.events)}
            _note(
                channel, {name: (before[name], after[name]) for name in before if before[name] != after[name]}
            )
        messages.success(request, gettext("Сохранено."))
        return redirect("webhook", pk, number)

    def _shown(self, client: Client, channel: Channel, form: WebhookForm) -> HttpResponse:
        context = {
            "client": client,
            "channel": channel,
            "form": form,
            "deliveries": channel.deliveries.select_related("event")[:SHOWN_DELIVERIES],
            "may_keep": self.may_keep(client),
        }
        return render(self.request, "billing/webhook.html", context)


class TryWebhook(NoticesView):
    """Has a test sent, as everything is: by the worker, with a signature."""

    def post(self, request: HttpRequest, pk: int, number: int) -> HttpResponse:
        channel = self.webhook(self.kept(pk), number)
        waiting = Delivery.objects.filter(channel=channel, event__kind="test", next_at__isnull=False)
        if channel.disabled_at:
            messages.error(request, gettext("Вебхук отключён: сначала включите его."))
        elif waiting.count() >= TESTS_AT_ONCE:
            messages.error(request, gettext("Несколько проверок ещё не отправлены: дождитесь их."))
        else:
            deliveries.test(channel, request.user.email)
            messages.success(request, gettext("Проверка отправится в ближайшую минуту: обновите страницу."))
        return redirect("webhook", pk, number)


class NewSecret(NoticesView):
    def post(self, request: HttpRequest, pk: int, number: int) -> HttpResponse:
        client = self.kept(pk)
        channel = self.webhook(client, number)
        secret = give_secret(channel)
        with transaction.atomic():
            channel.save(update_fields=["secret"])
            _note(channel, {"secret": (journal.HIDDEN, journal.HIDDEN)})
        return self.shown_once(client, channel, secret)


class SwitchWebhook(NoticesView):
    """Off, or on again."""

    @transaction.atomic
    def post(self, request: HttpRequest, pk: int, number: int) -> HttpResponse:
        channel = self.webhook(self.kept(pk), number)
        turns_on = request.POST.get("to") == "on"
        channel.disabled_at = None if turns_on else channel.disabled_at or timezone.now()
        channel.failures = 0
        channel.save(update_fields=["disabled_at", "failures"])
        _note(channel, {"disabled_at": ("", "" if turns_on else str(channel.disabled_at))})
        if not turns_on:
            deliveries.give_up(channel)
        messages.success(request, gettext("Вебхук включён.") if turns_on else gettext("Вебхук отключён."))
        return redirect("webhook", pk, number)


class RemoveWebhook(NoticesView):
    @transaction.atomic
    def post(self, request: HttpRequest, pk: int, number: int) -> HttpResponse:
        channel = self.webhook(self.kept(pk), number)
        _note(channel, {"url": (channel.url, "")}, Change.Action.DELETE)
        channel.delete()
        messages.success(request, gettext("Вебхук удалён."))
        return redirect("notices", pk)


def _note(channel: Channel, changes: dict[str, tuple[str, str]], action: int = Change.Action.UPDATE) -> None:
    """Into the journal: where what is told goes to is nobody's to change unseen."""
    if changes:
        journal.note(channel, changes, action=action)
