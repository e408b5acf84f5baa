"""Forms of passwords, forgotten ones and changed ones. Each is typed once: browsers can show it."""

from typing import Any

from allauth.account.forms import ChangePasswordForm, ResetPasswordForm, ResetPasswordKeyForm
from django import forms
from django.utils.translation import gettext_lazy as _

RULES = _("Не короче 10 знаков и не из самых частых.")


class AskForm(ResetPasswordForm):
    """For which address a link is wanted."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["email"].label = _("Электронная почта")
        self.fields["email"].widget = forms.EmailInput(attrs={"autocomplete": "username"})


class ResetForm(ResetPasswordKeyForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        label_new(self)


class ChangeForm(ChangePasswordForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        present = self.fields["oldpassword"]
        present.label, present.help_text = _("Нынешний пароль"), ""
        del present.widget.attrs["placeholder"]
        label_new(self)


def label_new(form: forms.Form) -> None:
    del form.fields["password2"]
    new = form.fields["password1"]
    new.label, new.help_text = _("Новый пароль"), RULES
    new.widget.attrs = {"autocomplete": "new-password"}
