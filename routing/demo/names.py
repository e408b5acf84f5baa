"""Names of organisations and people that do not exist, and taxpayer numbers of right form. Pure."""

from collections.abc import Iterator, Sequence
from random import Random

# Every client that is made here says so of itself.
MARK = "(демо)"
# What taxpayer numbers begin with: there is no such region, so nobody has them.
NOWHERE = "00"
# Weights of the digits before each check digit.
OF_TEN = (2, 4, 10, 3, 5, 9, 4, 6, 8)
OF_ELEVEN = (7, 2, 4, 10, 3, 5, 9, 4, 6, 8)
OF_TWELVE = (3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8)

FORMS = ("ООО", "ООО", "ООО", "ООО", "АО", "АО", "НКО", "ИП")
WHICH = (
    *(
        "Северный",
        "Южный",
        "Уральский",
        "Волжский",
        "Балтийский",
        "Сибирский",
        "Таёжный",
        "Степной",
        "Горный",
    ),
    *("Лазурный", "Медный", "Янтарный", "Хрустальный", "Быстрый", "Тихий", "Ясный", "Дальний", "Новый"),
    *("Первый", "Вечерний", "Утренний", "Звёздный", "Добрый", "Кленовый", "Малиновый", "Речной", "Полярный"),
)
WHAT = (
    *("берег", "мост", "ключ", "маяк", "родник", "парус", "курс", "ветер", "хутор", "причал", "вектор"),
    *("прилавок", "каталог", "архив", "перевод", "адвокат", "склад", "рецепт", "урок", "портал", "диалог"),
    *("квартал", "завод", "экипаж", "самовар", "караван", "ларец", "почерк", "эскиз", "чертёж", "улей"),
    *("кедр", "клевер", "дозор", "фонарь", "сервис", "компас", "горизонт", "абзац", "ответ"),
)
SURNAMES = (
    *("Абрикосов", "Берёзкин", "Васильков", "Горностаев", "Дроздов", "Ежевикин", "Жемчугов", "Зимородков"),
    *("Ивушкин", "Калинкин", "Ландышев", "Малинин", "Незабудкин", "Осинкин", "Подберёзовиков", "Рябинкин"),
    *("Снегирёв", "Тополев", "Ужиков", "Филинов", "Хвощёв", "Цаплин", "Черёмухин", "Шиповников", "Щеглов"),
)
HIS = ("Антон", "Борис", "Виктор", "Глеб", "Даниил", "Егор", "Захар", "Игорь", "Кирилл", "Лев", "Матвей")
HERS = ("Алла", "Белла", "Вера", "Галина", "Дарья", "Ева", "Жанна", "Зоя", "Инна", "Кира", "Лидия", "Майя")


def organisations(dice: Random) -> Iterator[tuple[str, str]]:
    """Names, none twice, each with its taxpayer number."""
    seen: set[str] = set()
    while True:
        form = dice.choice(FORMS)
        head, tail = (_sole_trader(dice), "") if form == "ИП" else (f"{form} «{_title(dice)}", "»")
        name = head + tail
        while name in seen:
            name = f"{head} {dice.randrange(2, 10_000)}{tail}"
        seen.add(name)
        yield f"{name} {MARK}", taxpayer_number(dice, is_person=form == "ИП")


def person(dice: Random) -> str:
    surname = dice.choice(SURNAMES)
    if dice.random() < 0.5:
        return f"{dice.choice(HERS)} {surname}а"
    return f"{dice.choice(HIS)} {surname}"


def taxpayer_number(dice: Random, *, is_person: bool) -> str:
    """An ИНН with right check digits: twelve digits of a person, ten of a company."""
    length = 10 if is_person else 9
    digits = [int(digit) for digit in NOWHERE] + [dice.randrange(10) for _ in range(length - len(NOWHERE))]
    for weights in (OF_ELEVEN, OF_TWELVE) if is_person else (OF_TEN,):
        digits.append(check_digit(digits, weights))
    return "".join(map(str, digits))


def check_digit(digits: Sequence[int], weights: Sequence[int]) -> int:
    return sum(digit * weight for digit, weight in zip(digits, weights, strict=True)) % 11 % 10


def _title(dice: Random) -> str:
    return f"{dice.choice(WHICH)} {dice.choice(WHAT)}"


def _sole_trader(dice: Random) -> str:
    return f"ИП {dice.choice(SURNAMES)} {dice.choice(HIS)[0]}. {dice.choice(HIS)[0]}."
