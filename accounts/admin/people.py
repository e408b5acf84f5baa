"""The operators' desk for people and where they belong."""

from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin, TabularInline
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from accounts import letters, roles
from accounts.admin.staff import GivesRoles, GuardsRights, RoleFilter
from accounts.admin.steps import HasSteps, Step
from accounts.models import Membership, User
from accounts.second_factor import forget_second_factor, has_second_factor

FOUND = 302  # where a form was taken, the page leads on


class ForgetSecondFactor(Step):
    slug, title, icon = "forget-second-factor", _("Забыть второй фактор"), "phonelink_erase"
    permission, hurts = roles.CHANGE_ROLES, True

    def objection(self, person: User) -> Any:
        return "" if has_second_factor(person) else _("Второй фактор у этого человека не подключён.")

    def consequences(self, person: User) -> list[Any]:
        return [
            _("Пока человек не подключит новый, он входит по одному паролю."),
            _("Приложение на телефоне и коды на бумаге перестанут подходить сразу."),
            _("Убедитесь, что просит он сам: так же просит тот, кто узнал только пароль."),
        ]

    def take(self, request: HttpRequest, person: User, typed: dict[str, Any]) -> tuple[Any, None]:
        forget_second_factor(person)
        letters.tell_of_change(request, letters.Changed.SECOND_FACTOR, person)
        messages.success(request, _("Второй фактор забыт."))
        return gettext("Второй фактор забыт"), None


class UserAddForm(UserCreationForm):
    class Meta(UserCreationForm.Meta):
        model = User
        fields = ("email",)
        field_classes = {}


class UserEditForm(GivesRoles, UserChangeForm):
    class Meta(UserChangeForm.Meta):
        model = User
        field_classes = {}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if password := self.fields.get("password"):
            password.help_text = format_html(
                '{} <a href="../password/" class="text-primary-600">{}</a>',
                _("Сам пароль не хранится, и увидеть его нельзя."),
                _("Задать новый"),
            )


class MembershipInline(TabularInline):
    model = Membership
    extra = 0
    autocomplete_fields = ["user", "client"]


# What allauth puts on the desk would show more than anybody needs, secrets (sealed) among it.
admin.site.unregister([EmailAddress, Authenticator])


@admin.register(User)
class UserAdmin(GuardsRights, HasSteps, DjangoUserAdmin, ModelAdmin):
    add_form = UserAddForm
    form = UserEditForm
    change_password_form = AdminPasswordChangeForm
    list_display = ["email", "name", "is_active", "is_staff", "last_login", "date_joined"]
    list_filter = ["is_active", "is_staff", "is_superuser", RoleFilter]
    list_filter_submit = True
    search_fields = ["email", "name"]
    ordering = ["email"]
    inlines = [MembershipInline]
    steps = [ForgetSecondFactor()]
    readonly_fields = ["language", "last_login", "date_joined"]
    fieldsets = [
        (None, {"fields": ["email", "password", "name", "language"]}),
        (_("Права"), {"fields": ["is_active", "is_staff", "is_superuser", "groups", "user_permissions"]}),
        (_("Даты"), {"fields": ["last_login", "date_joined"]}),
    ]
    add_fieldsets = [(None, {"fields": ["email", "name", "usable_password", "password1", "password2"]})]

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        former = form.initial.get("email", "") if change else ""
        super().save_model(request, obj, form, change)
        if former and former != obj.email:  # to the former one: its owner can still object
            letters.tell_of_change(request, letters.Changed.EMAIL, obj, former)

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:  # noqa: A002
        answer = super().user_change_password(request, id, form_url)
        if request.method == "POST" and answer.status_code == FOUND:
            person = self.get_object(request, unquote(id))
            letters.tell_of_change(request, letters.Changed.PASSWORD, person)
        return answer

    def may_take(self, request: HttpRequest, step: Step, row: User) -> bool:
        """Nobody with himself: a session that was left open would do it; nor with one who may do more."""
        is_other = row != request.user and self.has_change_permission(request, row)
        return is_other and super().may_take(request, step, row)


@admin.register(Membership)
class MembershipAdmin(ModelAdmin):
    list_display = ["user", "client", "role"]
    list_filter = ["role"]
    list_select_related = ["user", "client"]
    search_fields = ["user__email", "user__name", "client__name"]
    autocomplete_fields = ["user", "client"]
