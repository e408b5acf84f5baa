"""What tells the kinds of tasks apart: words, signs and their weights. Lower case, ``е`` for ``ё``. Pure.

A word ending in ``*`` is a stem of four letters or more and stands for all that begins so; any other is
exactly itself. The longest stem wins, and an exact word wins over stems. A weight of 3 decides by itself
where nothing speaks against it; 0.5 only adds to others. One word may speak for several kinds.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

CODE, EXTRACTION, TRANSLATION = "code", "extraction", "translation"
MATH, LONG, CREATIVE, CHAT = "math", "long", "creative", "chat"
# The order in which ties are broken.
KINDS = (CODE, EXTRACTION, TRANSLATION, MATH, LONG, CREATIVE, CHAT)

Table = Mapping[str, Mapping[float, str]]  # kind -> weight -> words or signs
Speaking = tuple["Cue", ...]

STEM = 4  # letters by which a stem is looked up, and so the fewest it has

_WORDS: Table = {
    CODE: {
        3: "регулярк* рефактор* компил* traceback vba докер* docker* питон* python javascript typescript",
        2.5: "программир* коммит* django postgres* sql react* kubernetes nginx c++ git",
        2: """код кода коду кодом коде баг бага баги багов отлад* дебаж* фреймворк* эндпоинт* endpoint*
            деплой* макрос* exception bash php java kotlin golang rust js mysql linux html css regex api
            pytest""",
        1.5: "скрипт* алгоритм* ревью верста* верстк* парсер* def class select function const 1с 1c",
        1: """функци* массив* переменн* миграци* модул* юнит* return import self print null async await lambda
            void static elif join error typeerror""",
        0.5: "ошибк* запрос* сервер* библиотек* where from регулярн* исключени* контейнер* падает таблиц*",
    },
    EXTRACTION: {
        3: "извлек* извлеч* классифиц* классификатор* тональност* extract* classify",
        2.5: "json csv вытащ* вытаск* выпиш* размет* структурир* сущност* entities",
        2: "сентимент* метка метку метки меток тегов",
        1.5: """категори* таблиц* верни верните упоминани* распозна* сгруппир* отнеси xml yaml parse label*
            позитив* негатив* нейтральн*""",
        1: "поля полями полям схеме схема схему определи определите достан* достать тегами реквизит*",
        0.5: "списком список варианты отзыв* обращени* найди найдите только разбира* оцени оцените ответь",
    },
    TRANSLATION: {
        3: "перевед* перевест* переводчик* translat*",
        2.5: "перевод перевода переводе переводом",
        2: "переводи* дословн*",
        1.5: """английск* немецк* французск* испанск* итальянск* португальск* китайск* японск* корейск*
            арабск* турецк* казахск* узбекск* татарск* польск* финск* сербск* армянск* грузинск*""",
        1: "english russian german french chinese spanish",
        0.5: "русск* язык языка фраза фразу фразы означает значит",
    },
    MATH: {
        3: "посчита* сосчита* вычисл* рассчита* уравнени* интеграл* логарифм* calculate solve equation",
        2.5: "подсчита* производн* вероятност* докаж* теорем* дисперси* комбинатор* неравенств* аннуитет*",
        2: "километр* миль мили реши решите округли* треугольник* конвертир* матриц* среднеквадрат*",
        1.5: """сколько годовых расчет* логическ* умнож* медиан* окружност* прогресси* sin cos
            tan log ln лжет лгут""",
        1: """процент* скорост* км осталось сумма сумму сумме равен равна равно среднее площад* объем* выпад*
            половин* треть""",
        0.5: """задача задачу задачи кредит* вклад* ставк* ндс корни формул* больше меньше часа часов часы
            углы углов""",
    },
    # These count in messages as long as a document only.
    LONG: {
        3: "суммариз* саммари* резюмир* summar* tldr",
        2.5: "перескаж* конспект*",
        2: "сократ* пересказ* тезис* проанализ*",
        1.5: "кратк* главное резюме содержани* стенограмм* протокол* прочита* изложи*",
        1: "вывод выводы документ* анализ* сравни* условия риски",
        0.5: "договор* отчет* глава главу лекци* книг* статья статью",
    },
    CREATIVE: {
        3: "сочини* слоган*",
        2.5: "придума* поздрав* стих* перефраз* сказк* эссе",
        2: """письмо реклам* пост поста посты заголов* перепиш* отредактир* креатив* сценари* сопроводит*
            slogan poem""",
        1.5: """описани* объявлени* статья статью статьи эмодзи песн* email letter story письма тексты рассказ
            рассказа""",
        1: """напиши напишите составь составьте сгенерируй* названи* стиле официальн* вежлив* идеи идей
            коммерческ*""",
        0.5: "текст текста нужен предложени* написать телеграм* маркетплейс* соцсет* write улучши*",
    },
    CHAT: {
        2: "посовет* поговор*",
        1.5: "привет* здравствуй* расскаж* почему",
        1: "зачем кто объясни* думаешь деньг*",
        0.5: "спасибо лучше когда разниц* простыми дела грустно как",
    },
}

# Signs of code and mathematics, wherever they stand.
_SIGNS: Table = {
    CODE: {3: "```", 1.5: "() ); </", 1: "== != => ::", 0.5: "{ _ ; ->"},
    MATH: {2: "√ ∑ ∫ ≤ ≥", 1: "² ³", 0.5: "%"},
}


@dataclass(frozen=True, slots=True, eq=False)
class Cue:
    """What speaks for a kind; ``name`` is what people are shown of it."""

    kind: str
    weight: float
    name: str


# Of a request's fields and of lengths. Whoever gives a schema wants data, whatever the words are.
HAS_SCHEMA = Cue(EXTRACTION, 6, "поле: response_format")
HAS_TOOLS = Cue(EXTRACTION, 1, "поле: tools")
IS_SUM = Cue(MATH, 2.5, "знак: действие с числами")
HAS_NUMBERS = Cue(MATH, 1, "числа")
LONG_MESSAGE = Cue(LONG, 3.5, "длина: сообщение")
VERY_LONG_MESSAGE = Cue(LONG, 4.5, "длина: сообщение")
LONG_CONVERSATION = Cue(LONG, 2.5, "длина: беседа")


def _entries(table: Table) -> Iterator[tuple[str, str, float]]:
    """Each word or sign with its kind and weight."""
    for kind, by_weight in table.items():
        for weight, words in by_weight.items():
            for word in words.split():
                yield word, kind, weight


def _speaking(table: Table, sort: str) -> dict[str, Speaking]:
    """What each word or sign speaks for; ``sort`` is what people are told it is."""
    found: dict[str, Speaking] = {}
    for word, kind, weight in _entries(table):
        cue = Cue(kind, weight, f"{sort}: {word.replace('*', '…')}")
        found[word] = (*found.get(word, ()), cue)
    return found


def _by_head(words: Mapping[str, Speaking]) -> dict[str, list[tuple[str, Speaking]]]:
    found: dict[str, list[tuple[str, Speaking]]] = {}
    for word in sorted(words, key=len, reverse=True):
        if word.endswith("*"):
            found.setdefault(word[:STEM], []).append((word[:-1], words[word]))
    return found


_SPEAKING = _speaking(_WORDS, "слово")
# Each sign or word, and what it speaks for.
SIGNS = _speaking(_SIGNS, "знак")
EXACT = {word: found for word, found in _SPEAKING.items() if not word.endswith("*")}
# The first letters of a word, and the stems that begin so, the longest first.
STEMS = _by_head(_SPEAKING)
# The first letters of all words that may be known.
HEADS = {word[:STEM] for word in EXACT} | STEMS.keys()
