import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from routing.models import Alias, Endpoint, Model
from tests.builders import make_endpoint, make_model, make_provider, make_twin

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("slug", ["gigachat/pro", "yandexgpt/pro:rc", "mts-ai/qwen2.5-72b-instruct"])
def test_a_model_has_a_name_in_two_parts(slug):
    make_model(slug).full_clean()


@pytest.mark.parametrize(
    "slug", ["pro", "GigaChat/pro", "gigachat/", "/pro", "gigachat/про", "a/b c", "a/b\n"]
)
def test_the_database_refuses_another_name(slug):
    with pytest.raises(IntegrityError), transaction.atomic():
        make_model(slug)


@pytest.mark.parametrize(
    "wrong",
    [
        *({"max_output": 0}, {"max_output": 40_000}, {"version": "beta"}),
        *({"kind": "embeddings"}, {"kind": "audio", "max_output": 0}),
        {"kind": "embeddings", "max_output": 0, "context_length": 0},
    ],
)
def test_the_database_refuses_a_model_that_cannot_be(wrong):
    model = make_model(context_length=32_768)

    with pytest.raises(IntegrityError), transaction.atomic():
        Model.objects.filter(pk=model.pk).update(**wrong)


@pytest.mark.parametrize(("kind", "most", "is_good"), [("chat", 0, False), ("embeddings", 0, True)])
def test_the_form_says_which_models_answer_in_words(kind, most, is_good):
    model = Model(slug="a/b", name="b", provider_name="a", kind=kind, context_length=5, max_output=most)

    if is_good:
        model.clean()
    else:
        with pytest.raises(ValidationError, match="У модели чата"):
            model.clean()


def test_an_alias_is_one_in_any_case():
    make_model(aliases=("GigaChat-Pro",))

    with pytest.raises(IntegrityError), transaction.atomic():
        make_model(aliases=("gigachat-PRO",))


def test_an_alias_cannot_hide_a_model_nor_a_model_an_alias():
    model = make_model("gigachat/pro", aliases=("gigachat/best",))

    with pytest.raises(ValidationError, match="Так уже называется модель"):
        Alias(name="GigaChat/Pro", model=model).full_clean()
    with pytest.raises(ValidationError, match="Так уже называют другую модель"):
        Model(slug="gigachat/best").full_clean()


@pytest.mark.parametrize("name", ["family/pro:floor", "family/pro:NITRO", "family/pro:rc:free"])
def test_a_suffix_of_ours_ends_no_name(name):
    model = make_model("family/pro")

    with pytest.raises(ValidationError, match=r"Окончания :floor, :nitro, :free заняты"):
        Alias(name=name, model=model).full_clean()
    with pytest.raises(ValidationError, match=r"Окончания :floor, :nitro, :free заняты"):
        Model(slug=name.lower()).full_clean()


def test_an_alias_of_another_model_is_told_in_words():
    make_model(aliases=("GigaChat",))

    with pytest.raises(ValidationError) as caught:
        Alias(name="gigachat", model=make_model()).full_clean()

    assert caught.value.message_dict == {"name": ["Так уже называют модель."]}


def test_an_alias_may_be_spelt_otherwise():
    model = make_model(aliases=("GigaChat",))
    alias = model.aliases.get()
    alias.name = "gigachat"

    alias.full_clean()


@pytest.mark.parametrize(
    ("of_model", "of_endpoint"),
    [
        ({"context_length": 1000, "max_output": 1001}, None),
        ({}, {"context_length": 1000, "max_output": 1001}),
        ({"context_length": 1000, "max_output": 500}, {"max_output": 1001}),
    ],
)
def test_an_answer_that_is_longer_than_the_context_is_told_in_words(of_model, of_endpoint):
    model = make_model()
    for name, value in of_model.items():
        setattr(model, name, value)
    row = model if of_endpoint is None else Endpoint(model=model, provider=make_provider(), **of_endpoint)

    with pytest.raises(ValidationError) as caught:
        row.clean()

    assert caught.value.message_dict == {"max_output": ["Ответ не может быть длиннее контекста."]}


def test_a_provider_serves_a_model_under_an_upstream_name_once():
    endpoint = make_endpoint(upstream_name="GigaChat-2")

    with pytest.raises(IntegrityError), transaction.atomic():
        make_endpoint(endpoint.model, endpoint.provider, upstream_name="GigaChat-2")


@pytest.mark.parametrize(
    "wrong",
    [
        {"tools": "magic"},
        {"features": ["telepathy"]},
        {"context_length": 0},
        {"max_output": 0},
        {"context_length": 0, "max_output": 5},
        {"circuit": "ajar"},
    ],
)
def test_the_database_refuses_an_endpoint_that_cannot_be(wrong):
    endpoint = make_endpoint()

    with pytest.raises(IntegrityError), transaction.atomic():
        Endpoint.objects.filter(pk=endpoint.pk).update(**wrong)


@pytest.mark.parametrize("name", ["context_length", "max_output"])
def test_an_endpoint_may_have_a_size_of_its_own(name):
    make_endpoint(**{name: 4096}).full_clean()


def test_an_endpoint_has_the_sizes_of_its_model_and_a_circuit_of_its_own_accord():
    endpoint = make_endpoint()

    assert (endpoint.context_length, endpoint.max_output, endpoint.circuit) == (None, None, "auto")


def test_a_twin_is_not_an_endpoint_of_its_own():
    twin = make_twin(make_provider())

    with pytest.raises(ValidationError, match="Двойника"):
        make_endpoint(provider=twin).full_clean()


@pytest.mark.parametrize("marks", [{}, {"general": 50}, {"general": 0, "math": 99.5, "code": 100}])
def test_a_models_marks_are_by_kind_of_task(marks):
    make_model(quality=marks).full_clean()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ([50], "Нужен объект JSON"),
        ({"general": 50, "poker": 50}, "Неизвестные виды задач: poker. Есть general, code, "),
        ({"general": 101}, "число от 0 до 100"),
        ({"general": -1}, "число от 0 до 100"),
        ({"general": True}, "число от 0 до 100"),
        ({"general": "50"}, "число от 0 до 100"),
        ({"general": float("nan")}, "бесконечность"),
        ({"math": 50}, "Нужна оценка general"),
    ],
)
def test_marks_that_say_nothing_are_refused(wrong, said):
    model = make_model()
    model.quality = wrong

    with pytest.raises(ValidationError, match=said) as refused:
        model.full_clean()

    assert refused.value.message_dict.keys() == {"quality"}


def test_no_model_may_be_called_like_the_automatic_choice():
    with pytest.raises(ValidationError):
        Model(slug="xrouter/auto").clean()
    with pytest.raises(ValidationError):
        Alias(name="XRouter/Auto", model=make_model()).clean()
