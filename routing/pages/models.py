"""What is measured for the pages of the catalogue and concerns no request."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class Density(models.Model):
    """How many characters of Russian text one token of a model is (``routing.pages.densities`` measures)."""

    model = models.OneToOneField(
        "routing.Model", models.CASCADE, primary_key=True, related_name="density", verbose_name=_("модель")
    )
    characters_per_token = models.FloatField(_("знаков в токене"))
    is_simulated = models.BooleanField(_("считал двойник"))
    measured_at = models.DateTimeField(_("измерено"))

    class Meta:
        verbose_name = _("знаков в токене")
        verbose_name_plural = _("знаков в токене")
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.model_id}: {self.characters_per_token:.2f}"
