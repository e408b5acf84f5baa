"""How many characters of Russian text a model's token is: the vendor counts a text of ours, twice.

A question and the same question with more text behind it differ by the tokens of that text alone; what the
vendor puts around a message is in both. An answer of one token is asked for, at the operator's cost.
"""

import re
from datetime import datetime, timedelta

from django.db.models import F, Q

from monitoring import trial
from monitoring.trial import Question
from providers.models import Provider
from routing.models import Endpoint, Kind, Model
from routing.pages.models import Density

# Vendors change their models under the same name, seldom.
LASTS = timedelta(days=30)
# Models measured at a time: each is asked two questions of up to 20 s.
AT_ONCE = 5
# Fewer or more characters than this in a token are no measurement, but a vendor who counts something else.
LEAST, MOST = 0.5, 20.0

QUESTION = "Перескажи одним словом."
# Letters and orders, prose and figures: what customers send. Some 1,300 characters.
TEXT = """
Здравствуйте! В прошлую среду мы заказали у вас двенадцать коробок бумаги и три картриджа, а привезли
одиннадцать коробок и четыре картриджа. Лишний картридж можем вернуть с тем же курьером, если он заедет
до пятницы; недостающую коробку просим довезти или вычесть её стоимость, 1 840 рублей, из следующего
счёта.

Осень в этом году стояла долгая и сухая. По утрам над рекой поднимался туман, и рыбаки на мосту казались
нарисованными тушью; к полудню становилось почти жарко, в школьном дворе снимали куртки и вешали их на
забор. Бабушка говорила, что такую осень помнит всего дважды и оба раза зима потом приходила за одну
ночь, без предупреждения, со снегом по колено.

Чтобы настроить резервное копирование, откройте раздел «Хранилище», выберите папку назначения и укажите
расписание: ежедневно, еженедельно или вручную. Копии старше тридцати дней удаляются сами. Если места не
хватает, программа пришлёт уведомление и остановит запись, но уже сделанные копии не тронет.
Восстановить можно как всё сразу, так и отдельные файлы.

Согласно отчёту, выручка за третий квартал выросла на 7,4 % и составила 318 млн рублей, расходы на
доставку снизились, а доля постоянных покупателей достигла 41 %. Совет директоров рекомендует сохранить
нынешнюю ценовую политику до конца года.
"""
# A line of a file ends where there was room, not where its author began another.
SAMPLE = re.sub(r"(?<!\n)\n(?!\n)", " ", TEXT.strip())


class NotMeasured(Exception):
    """The text says why; nothing of what the vendor said is in it."""


def due(now: datetime) -> list[Model]:
    """Models that talk and were not measured lately, those never measured first."""
    chats = Model.objects.filter(kind=Kind.CHAT)
    rows = chats.filter(Q(density=None) | Q(density__measured_at__lt=now - LASTS))
    serving = rows.filter(endpoints__is_enabled=True, endpoints__provider__is_enabled=True)
    return list(serving.distinct().order_by(F("density__measured_at").asc(nulls_first=True), "slug"))


def measure(model: Model, now: datetime) -> Density:
    """Ask whoever serves ``model`` first. Blocks, for 40 s at most. Raises NotMeasured."""
    endpoint = (
        model.endpoints.filter(is_enabled=True, provider__is_enabled=True)
        .select_related("provider__twin")
        .order_by("priority", "pk")
        .first()
    )
    if endpoint is None or model.kind != Kind.CHAT:
        raise NotMeasured("nobody serves it as a chat")
    asked = answering(endpoint.provider)
    more = _tokens(asked, endpoint, QUESTION + SAMPLE) - _tokens(asked, endpoint, QUESTION)
    density = len(SAMPLE) / more if more > 0 else 0.0
    if not LEAST <= density <= MOST:
        raise NotMeasured(f"{len(SAMPLE)} characters were counted as {more} tokens")
    told = {
        "characters_per_token": density,
        "is_simulated": asked.twin_of_id is not None,
        "measured_at": now,
    }
    return Density.objects.update_or_create(model=model, defaults=told)[0]


def answering(provider: Provider) -> Provider:
    """``provider``, or its twin where it has no credentials."""
    twin = getattr(provider, "twin", None)
    return twin if twin is not None and not provider.credentials.exists() else provider


def _tokens(provider: Provider, endpoint: Endpoint, text: str) -> int:
    question = Question(
        is_chat=True,
        model=endpoint.upstream_name,
        options=endpoint.options,
        features=frozenset(endpoint.features),
        text=text,
    )
    told = trial.attempt(provider, question)
    if told.tokens is None:
        raise NotMeasured(told.kind or "the vendor counts no tokens")
    return told.tokens
