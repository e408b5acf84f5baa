"""How the portal calls what becomes of providers, and by which colours."""

from django.utils.translation import gettext_lazy as _

from routing.models import Circuit

LABELS = {
    "operational": "success",
    "degraded": "warning",
    "down": "danger",
    "held": "danger",
    "nobody": "danger",
    "off": "info",
    "simulated": "primary",
}
STATES = {
    "operational": _("работает"),
    "degraded": _("сбои"),
    "down": _("не работает"),
    "held": _("разомкнут вручную"),
    "nobody": _("нет доступа"),
    "off": _("выключен"),
    "simulated": _("отвечает двойник"),
}
BREAKERS = {
    "closed": (_("замкнут"), "success"),
    "half_open": (_("пробует"), "warning"),
    "open": (_("разомкнут"), "danger"),
    "held-open": (_("разомкнут вручную"), "danger"),
    "held-closed": (_("замкнут вручную"), "warning"),
}
# What will happen, before a breaker is put by hand.
WISHES = {
    Circuit.OPEN: (
        _("Разомкнуть вручную"),
        _("Новых запросов сюда не будет, пока предохранитель не вернут в автоматический режим. "
          "Начатые ответы доготовятся. Другие исполнители модели примут запросы на себя."),
    ),
    Circuit.CLOSED: (
        _("Замкнуть вручную"),
        _("Запросы пойдут сюда, даже если исполнитель отказывает: его здоровье не учитывается, "
          "пока предохранитель не вернут в автоматический режим."),
    ),
    Circuit.AUTO: (
        _("Вернуть автомат"),
        _("Предохранитель снова сам размыкается, когда исполнитель отказывает, и замыкается, "
          "когда тот здоров."),
    ),
}  # fmt: skip
HOLDS = {
    "endpoints": _("Исполнители моделей (удалите их или отдайте другому провайдеру):"),
    "generations": _(
        "Генерации: история ответов и денег называет этого провайдера. Выключите его вместо удаления."
    ),
    "incidents": _("Инциденты:"),
}
