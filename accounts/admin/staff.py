"""The operators' desk for staff: roles, and who may give them to whom. Nobody raises himself."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import RelatedFieldWidgetWrapper
from django.contrib.auth.models import Group, Permission
from django.db.models import Count, QuerySet
from django.forms import ModelMultipleChoiceField
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import DropdownFilter
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from accounts import roles
from accounts.models import User

# What makes an operator of a person, and what he may.
RIGHTS = ("is_staff", "is_superuser", "groups", "user_permissions")
# Only those who may do anything give these.
TOP = ("is_superuser", "user_permissions")
VERBS = {"view": _("видеть"), "add": _("добавлять"), "change": _("менять"), "delete": _("удалять")}
TOO_MUCH = _("У этой роли есть права, которых нет у вас: назначить её может только тот, у кого они есть.")


class RoleField(ModelMultipleChoiceField):
    def label_from_instance(self, group: Group) -> Any:
        if told := roles.told(group.name):
            return format_html("<b>{}</b> — {}", roles.title(group.name), told)
        return group.name


class RightsField(ModelMultipleChoiceField):
    def label_from_instance(self, right: Permission) -> str:
        return f"{right.content_type}: {_verb(right)}"


class RoleFilter(DropdownFilter):
    title = _("роль")
    parameter_name = "role"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(str(each.pk), roles.title(each.name)) for each in Group.objects.order_by("name")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> QuerySet[User]:
        known = {number for number, _name in self.lookup_choices}
        return queryset.filter(groups=self.value()) if self.value() in known else queryset


class GivesRoles:
    """For the form of a person: nobody gives what he does not have.

    Which of the fields an operator gets at all is for the page to say.
    """

    operator: Any = None

    def clean_groups(self) -> Any:
        groups = self.cleaned_data["groups"]
        new = groups.exclude(pk__in=self.instance.groups.values("pk")) if self.instance.pk else groups
        if roles.beyond(Permission.objects.filter(group__in=new), self.operator):
            raise forms.ValidationError(TOO_MUCH)
        return groups


class GuardsRights:
    """For the page of people: who may change whom, and what of him."""

    def get_form(self, request: HttpRequest, obj: User | None = None, **kwargs: Any) -> Any:
        made = super().get_form(request, obj, **kwargs)
        return type(made.__name__, (made,), {"operator": request.user})

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> list[Any]:
        return [*super().get_readonly_fields(request, obj), *self._closed(request.user, obj)]

    def _closed(self, operator: Any, person: User | None) -> tuple[str, ...]:
        if operator == person:
            return (*RIGHTS, "email")  # what he moves is counted by it: see ``billing.proposals``
        if not roles.may_change_roles(operator):
            return RIGHTS
        return () if operator.is_superuser else TOP

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name == "groups" and isinstance(field.widget, RelatedFieldWidgetWrapper):
            field.widget = field.widget.widget  # a role is chosen here, and made or changed on its own page
        return field

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "groups":
            kwargs |= {"form_class": RoleField, "widget": UnfoldAdminCheckboxSelectMultipleWidget}
            return db_field.formfield(**kwargs, label=_("Роли"), help_text="")
        if db_field.name == "user_permissions":
            kwargs["form_class"] = RightsField
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        may = super().has_change_permission(request, obj)
        return may and (not isinstance(obj, User) or roles.has_no_more(obj, request.user))

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        may = super().has_delete_permission(request, obj)
        is_free = not isinstance(obj, User) or (obj != request.user and roles.has_no_more(obj, request.user))
        return may and is_free


def _verb(right: Permission) -> str:
    """What one permission allows, in a word; those that are no view, add, change or delete have a name."""
    action, _line, model = right.codename.partition("_")
    is_usual = model == right.content_type.model and action in VERBS
    return str(VERBS[action]) if is_usual else gettext(right.name)


admin.site.unregister(Group)


@admin.register(Group)
class RoleAdmin(ModelAdmin):
    """Our roles are as the program says; operators may make groups of their own beside them."""

    list_display = ["shown", "told", "people"]
    search_fields = ["name"]
    ordering = ["name"]
    filter_horizontal = ["permissions"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Group]:
        return super().get_queryset(request).annotate(members=Count("user", distinct=True))

    @admin.display(description=_("роль"), ordering="name")
    def shown(self, group: Group) -> str:
        return roles.title(group.name)

    @admin.display(description=_("для кого"), empty_value=_("своя группа"))
    def told(self, group: Group) -> str | None:
        return roles.told(group.name) or None

    @admin.display(description=_("сотрудников"), ordering="members")
    def people(self, group: Group) -> int:
        return group.members

    @admin.display(description=_("права"))
    def may(self, group: Group) -> str:
        verbs: dict[str, list[str]] = {}
        for right in group.permissions.select_related("content_type").order_by("content_type", "pk"):
            verbs.setdefault(str(right.content_type.name), []).append(_verb(right))
        return format_html_join("", "{}: {}<br>", ((name, ", ".join(all_)) for name, all_ in verbs.items()))

    def get_fields(self, request: HttpRequest, obj: Group | None = None) -> list[str]:
        is_ours = obj is not None and obj.name in roles.ROLES
        return ["shown", "told", "people", "may"] if is_ours else ["name", "permissions"]

    def get_readonly_fields(self, request: HttpRequest, obj: Group | None = None) -> list[str]:
        return ["shown", "told", "people", "may"]

    def get_form(self, request: HttpRequest, obj: Group | None = None, **kwargs: Any) -> Any:
        made = super().get_form(request, obj, **kwargs)

        class Own(made):
            def clean_permissions(self) -> Any:
                given = self.cleaned_data["permissions"]
                if roles.beyond(given, request.user):
                    raise forms.ValidationError(_("Группе нельзя дать больше прав, чем есть у вас."))
                return given

        return Own

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "permissions":
            kwargs |= {
                "form_class": RightsField,
                "queryset": Permission.objects.select_related("content_type"),
            }
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return roles.may_change_roles(request.user) and super().has_add_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may_touch(request, obj) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may_touch(request, obj) and super().has_delete_permission(request, obj)

    def _may_touch(self, request: HttpRequest, group: Any) -> bool:
        if not roles.may_change_roles(request.user):
            return False
        if not isinstance(group, Group):
            return True
        return group.name not in roles.ROLES and not roles.beyond(group.permissions.all(), request.user)
