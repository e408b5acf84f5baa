import pytest
from django.test import Client as Browser
from django.urls import reverse

from routing.admin.marks import NAMES
from routing.classifier import KINDS
from routing.models import Endpoint, Model
from tests.builders import cells, make_endpoint, make_model, make_provider, make_tariff, operators_browser

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator() -> Browser:
    return operators_browser()


def fields(**more) -> dict:
    model, provider = make_model(), make_provider(adapter="gen-t")
    form = {"model": model.pk, "provider": provider.pk, "upstream_name": "t-pro", "priority": 1, "weight": 1}
    return {**form, "tools": "native", "circuit": "auto", **more}


def test_emptied_settings_are_none(operator):
    endpoint = make_endpoint(options={"thinking": True})

    operator.post(reverse("admin:routing_endpoint_change", args=[endpoint.pk]), fields(options=""))

    assert Endpoint.objects.get().options == {}


@pytest.mark.parametrize(
    "options", ["null", "[]", '{"a": 1e999}', '{"a": "\\u0000"}', '{"wibble": 1}', '{"thinking": "yes"}']
)
def test_settings_its_provider_cannot_use_are_an_error_in_the_form(operator, options):
    answer = operator.post(reverse("admin:routing_endpoint_add"), fields(options=options))

    assert answer.context["adminform"].form.errors.keys() == {"options"}
    assert not Endpoint.objects.exists()


def test_settings_its_provider_knows_are_kept(operator):
    operator.post(reverse("admin:routing_endpoint_add"), fields(options='{"thinking": false}'))

    assert Endpoint.objects.get().options == {"thinking": False}


def test_what_a_provider_takes_from_us_is_kept(operator):
    tariff = make_tariff()

    operator.post(reverse("admin:routing_endpoint_add"), fields(own_tariff=tariff.pk))

    assert Endpoint.objects.get().own_tariff == tariff


def test_sizes_and_the_circuit_of_an_endpoint_are_kept(operator):
    sizes = {"context_length": 4096, "max_output": 1024}

    operator.post(reverse("admin:routing_endpoint_add"), fields(**sizes, circuit="open"))

    endpoint = Endpoint.objects.get()
    assert (endpoint.context_length, endpoint.max_output, endpoint.circuit) == (4096, 1024, "open")


@pytest.mark.parametrize("name", ["context_length", "max_output"])
def test_a_size_of_nothing_is_an_error_in_the_form(operator, name):
    answer = operator.post(reverse("admin:routing_endpoint_add"), fields(**{name: 0}))

    assert answer.context["adminform"].form.errors.keys() == {name}


def test_a_models_density_is_on_its_page(operator):
    page = operator.get(reverse("admin:routing_model_add")).context["adminform"].form

    assert "characters_per_token" in page.fields


def test_a_models_marks_are_on_its_page_and_the_general_one_in_the_list(operator):
    model = make_model(quality={"general": 61, "code": 77})

    form = operator.get(reverse("admin:routing_model_change", args=[model.pk])).context["adminform"].form
    listed = operator.get(reverse("admin:routing_model_changelist")).content.decode()

    assert form["quality"].value() == {"general": 61, "code": 77}
    assert cells(listed, "general_quality") == ["61"]


@pytest.mark.parametrize(
    ("marks", "said"),
    [
        ({"code": "50"}, "Нужна оценка general"),
        ({"general": "101"}, "меньше либо равно 100"),
        ({"general": "-1"}, "больше либо равно 0"),
        ({"general": "хорошо"}, "Введите число"),
    ],
)
def test_a_mark_that_is_none_is_an_error_in_the_form(operator, marks, said):
    model = make_model()
    typed = {f"quality_{kind}": mark for kind, mark in marks.items()}

    answer = operator.post(reverse("admin:routing_model_change", args=[model.pk]), typed)

    assert said in " ".join(answer.context["adminform"].form.errors["quality"])


@pytest.mark.parametrize("typed", ["null", '{"temperature": 1e999}'])
def test_default_parameters_that_are_none_are_an_error_in_the_form(operator, typed):
    model = make_model()

    answer = operator.post(
        reverse("admin:routing_model_change", args=[model.pk]), {"default_parameters": typed}
    )

    assert "default_parameters" in answer.context["adminform"].form.errors
    assert Model.objects.get().default_parameters == {}


def test_an_answer_longer_than_the_context_is_an_error_at_its_field(operator):
    model = make_model(max_output=8_192)
    form = {"slug": model.slug, "name": "a", "provider_name": "a", "tariff": model.tariff_id}
    sizes = {"context_length": 10, "max_output": 8_192, "characters_per_token": 2, "max_images": 0}
    inlines = {
        f"{name}-{count}_FORMS": 0 for name in ("endpoints", "aliases") for count in ("TOTAL", "INITIAL")
    }
    kinds = {"kind": "chat", "modality": "t", "visible_to": "all"}

    answer = operator.post(
        reverse("admin:routing_model_change", args=[model.pk]), {**form, **sizes, **inlines, **kinds}
    )

    said = dict(answer.context["adminform"].form.errors)
    assert said.pop("created_at", None) in (None, ["Обязательное поле."])
    assert said == {"max_output": ["Ответ не может быть длиннее контекста."]}


def test_lists_show_what_matters_first(operator):
    make_endpoint(make_model(quality={"general": 61}), circuit="closed")

    endpoints = operator.get(reverse("admin:routing_endpoint_changelist")).content.decode()
    providers = operator.get(reverse("admin:providers_provider_changelist")).content.decode()

    assert cells(endpoints, "breaker") == ["всегда замкнут"]
    assert "Учится" in providers


@pytest.mark.parametrize("page", ["routing_model_add", "routing_endpoint_add"])
def test_every_kind_of_task_and_state_of_the_circuit_is_explained(operator, page):
    fields = operator.get(reverse(f"admin:{page}")).context["adminform"].form.fields

    if page == "routing_model_add":
        assert len(fields["quality"].fields) == 1 + len(KINDS)
        assert set(KINDS) < NAMES.keys()
        return
    said = " ".join(str(field.help_text) for field in fields.values())
    wanted = ("Сам: размыкается", "Разомкнутый оператором")
    assert all(word in said for word in wanted)
