from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.utils import timezone

from billing.models import Rate
from billing.money import roubles
from providers.adapters import ADAPTERS
from providers.models import Credential, Provider
from routing.bootstrap import CATALOGUE, FROM_ENVIRONMENT, bootstrap, read_catalogue
from routing.models import Alias, Endpoint, Model

pytestmark = pytest.mark.django_db

TWINS = {"XROUTER_TWIN_URL": "http://127.0.0.1:9100"}

# What customers may ask for, and the vendor's model that answers.
PUBLISHED = {
    "gigachat/lite": "GigaChat-2",
    "gigachat/pro": "GigaChat-2-Pro",
    "gigachat/max": "GigaChat-2-Max",
    "gigachat/2-pro": "GigaChat-2-Pro",
    "gigachat/GigaChat-2-Max": "GigaChat-2-Max",
    "GigaChat": "GigaChat-2",
    "GigaChat-2": "GigaChat-2",
    "GigaChat-Pro": "GigaChat-2-Pro",
    "GigaChat-Max": "GigaChat-2-Max",
    "gigachat-2-pro": "GigaChat-2-Pro",
    "yandexgpt/lite": "yandexgpt-lite/latest",
    "yandexgpt/lite:deprecated": "yandexgpt-lite/deprecated",
    "yandexgpt/pro": "yandexgpt/latest",
    "yandexgpt/pro:latest": "yandexgpt/latest",
    "yandexgpt/pro:rc": "yandexgpt/rc",
    "yandexgpt/pro:deprecated": "yandexgpt/deprecated",
    "yandexgpt/32k": "yandexgpt-32k/latest",
    "yandexgpt/32k:rc": "yandexgpt-32k/rc",
    "yandexgpt-lite": "yandexgpt-lite/latest",
    "yandexgpt": "yandexgpt/latest",
    "yandexgpt-32k": "yandexgpt-32k/latest",
    "mts-ai": "mws-gpt-alpha",
    "gen-t": "t-tech/T-pro-it-2.0",
    "gen-t/t-lite": "t-tech/T-lite-it-2.1",
}


def upstream(name: str) -> str:
    """The upstream name behind a customer's name of a model."""
    alias = Alias.objects.filter(name__iexact=name).first()
    model = alias.model if alias else Model.objects.get(slug=name.lower())
    return model.endpoints.get().upstream_name


@pytest.fixture
def certificate() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test Root")])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return built.public_bytes(serialization.Encoding.PEM).decode()


def test_every_published_name_leads_to_its_model():
    bootstrap({})

    assert {name: upstream(name) for name in PUBLISHED} == PUBLISHED


def test_the_catalogue_speaks_of_known_dialects_and_prices_every_model():
    bootstrap({})

    assert set(Provider.objects.values_list("adapter", flat=True)) <= set(ADAPTERS)
    priced = Rate.objects.in_force_at(timezone.now()).filter(prompt__gt=0)
    for kind, price in (("chat", "completion"), ("embeddings", "embedding")):
        tariffs = {rate.tariff_id for rate in priced if getattr(rate, price)}
        assert {model.tariff_id for model in Model.objects.filter(kind=kind)} <= tariffs


def test_models_of_vectors_answer_nothing_in_words_and_are_never_chosen():
    bootstrap({})

    made = Model.objects.filter(kind="embeddings")
    slugs = {"gigachat/embeddings", "gigachat/embeddings-gigar", "mts-ai/bge-m3", "yandexgpt/text-search"}
    assert {model.slug for model in made} == slugs
    assert {(model.max_output, model.modality) for model in made} == {(0, "text->embedding")}
    assert not made.exclude(quality={}).exists()
    assert {endpoint.tools for endpoint in Endpoint.objects.filter(model__in=made)} == {"none"}


def test_prices_are_quoted_for_a_thousand_tokens_and_kept_for_a_million():
    bootstrap({})

    rate = Rate.objects.get(tariff__models__slug="gigachat/pro")
    assert (rate.prompt, rate.completion, rate.cached_prompt) == (roubles("500"), roubles("500"), 0)


def test_what_a_vendor_takes_from_us_is_a_price_of_its_own():
    bootstrap({})

    endpoint = Endpoint.objects.get(model__slug="gigachat/pro")
    assert endpoint.own_tariff != endpoint.model.tariff
    assert endpoint.own_tariff.rates.get().prompt == endpoint.model.tariff.rates.get().prompt
    assert Endpoint.objects.filter(provider__slug="mts-ai", own_tariff=None).exists()  # nobody knows


def test_families_share_what_a_model_does_not_say_itself():
    bootstrap({})

    long = Model.objects.get(slug="yandexgpt/32k:rc")
    assert (long.provider_name, long.version, long.context_length) == ("yandexgpt", "rc", 32_768)
    assert Model.objects.get(slug="yandexgpt/pro").context_length == 8_192
    assert Endpoint.objects.get(model=long).tools == "emulated"


def test_marks_are_for_stable_versions_and_larger_models_have_higher_ones():
    bootstrap({})

    marks = {model.slug: model.quality.get("general") for model in Model.objects.all()}
    assert marks["gigachat/lite"] < marks["gigachat/pro"] < marks["gigachat/max"]
    assert marks["yandexgpt/lite"] < marks["yandexgpt/pro"]
    unmarked = Model.objects.filter(quality={}, kind="chat")
    assert {model.version for model in unmarked} == {"rc", "deprecated"}


def test_a_repeated_bootstrap_makes_and_changes_nothing():
    bootstrap(TWINS)
    rows = [
        list(kind.objects.order_by("pk").values()) for kind in (Model, Endpoint, Alias, Provider, Credential)
    ]

    said = bootstrap(TWINS)

    assert said.startswith("Каталог: всё уже есть.")
    assert rows == [
        list(kind.objects.order_by("pk").values()) for kind in (Model, Endpoint, Alias, Provider, Credential)
    ]


def test_what_an_operator_edited_stays():
    bootstrap(TWINS)
    Model.objects.filter(slug="gigachat/pro").update(name="Наша лучшая", is_enabled=False, quality={})
    Endpoint.objects.filter(model__slug="gigachat/pro").update(priority=7)
    Rate.objects.filter(tariff__slug="gigachat-pro").update(prompt=1)
    Provider.objects.filter(slug="gigachat").update(
        timeouts={"total": 30}, base_url="https://mine.example/v1"
    )
    Alias.objects.filter(name="GigaChat-Pro").update(model=Model.objects.get(slug="gigachat/max"))

    bootstrap(TWINS)

    model = Model.objects.get(slug="gigachat/pro")
    assert (model.name, model.is_enabled, model.endpoints.get().priority) == ("Наша лучшая", False, 7)
    assert model.quality == {}
    assert model.tariff.rates.get().prompt == 1
    provider = Provider.objects.get(slug="gigachat")
    assert (provider.timeouts, provider.base_url) == ({"total": 30}, "https://mine.example/v1")
    assert upstream("gigachat-pro") == "GigaChat-2-Max"


def test_a_variable_that_is_set_wins_each_time(tmp_path, certificate):
    bundle = tmp_path / "ca.pem"
    bundle.write_text(certificate)
    bootstrap({"GIGACHAT_CREDENTIALS": "one"})
    bootstrap(
        {
            "GIGACHAT_CREDENTIALS": "two",
            "GIGACHAT_BASE_URL": "https://api.giga.chat/v1",
            "GIGACHAT_CA_BUNDLE": str(bundle),
        }
    )

    bootstrap({})

    provider = Provider.objects.get(slug="gigachat")
    assert (provider.base_url, provider.ca_bundle) == ("https://api.giga.chat/v1", certificate)
    assert provider.credentials.get().open()["authorization_key"] == "two"


def test_credentials_of_an_operator_are_left_alone():
    bootstrap({})
    provider = Provider.objects.get(slug="mts-ai")
    own = Credential(provider=provider, label="договор 7")
    own.seal({"api_key": "own"})
    own.save()

    bootstrap({"MTS_AI_API_KEY": "sk-1"})
    Credential.objects.filter(label=FROM_ENVIRONMENT).update(is_enabled=False, slots=3)
    bootstrap({"MTS_AI_API_KEY": "sk-2"})

    ours = provider.credentials.get(label=FROM_ENVIRONMENT)
    assert (ours.open(), ours.is_enabled, ours.slots) == ({"api_key": "sk-2"}, False, 3)
    assert provider.credentials.get(label="договор 7").open() == {"api_key": "own"}


def test_the_folder_of_yandexgpt_joins_the_other_settings():
    bootstrap({})
    Provider.objects.filter(slug="yandexgpt").update(options={"no_logging": True})

    bootstrap({"YANDEXGPT_FOLDER_ID": "b1g"})

    assert Provider.objects.get(slug="yandexgpt").options == {"no_logging": True, "folder_id": "b1g"}


def test_every_provider_has_a_twin_where_twins_live():
    bootstrap(TWINS)
    bootstrap({"XROUTER_TWIN_URL": "http://127.0.0.1:9200/"})

    twins = Provider.objects.filter(twin_of__isnull=False)
    assert {twin.twin_of.slug: (twin.base_url, twin.auth_url) for twin in twins} == {
        "gigachat": ("http://127.0.0.1:9200/gigachat/api/v1", "http://127.0.0.1:9200/gigachat/api/v2/oauth"),
        "yandexgpt": ("http://127.0.0.1:9200/yandexgpt", "http://127.0.0.1:9200/yandexgpt/iam/v1/tokens"),
        "mts-ai": ("http://127.0.0.1:9200/mts-ai/v1", ""),
        "gen-t": ("http://127.0.0.1:9200/gen-t/v1", ""),
    }
    assert all(twin.credentials.get().open() for twin in twins)


def test_a_twin_never_learns_what_is_secret_in_its_original():
    bootstrap({**TWINS, "YANDEXGPT_API_KEY": "AQVN", "YANDEXGPT_FOLDER_ID": "b1greal"})

    twin = Provider.objects.get(slug="yandexgpt-twin")
    assert twin.options["folder_id"] != "b1greal"
    assert twin.credentials.get().open() == {"api_key": "twin"}


def test_without_an_address_there_are_no_twins():
    bootstrap({})

    assert not Provider.objects.filter(twin_of__isnull=False).exists()


def test_the_summary_says_who_can_answer():
    said = bootstrap({**TWINS, "GEN_T_API_KEY": "key", "GEN_T_BASE_URL": "http://127.0.0.1:8001/v1"})

    assert "GEN-T: доступ есть, http://127.0.0.1:8001/v1." in said
    assert "GigaChat: доступа нет, отвечает двойник." in said
    assert "GigaChat: доступа нет." not in said


def test_a_credential_whose_vault_key_was_lost_is_brought_back_by_its_variable():
    bootstrap({"MTS_AI_API_KEY": "sk-1"})
    Credential.objects.update(vault_key_id="lost")

    bootstrap({"MTS_AI_API_KEY": "sk-1"})

    assert Credential.objects.get().open() == {"api_key": "sk-1"}


def test_a_bad_variable_is_one_sentence_and_changes_nothing(monkeypatch):
    monkeypatch.setenv("GEN_T_BASE_URL", "http://gen-t.example/v1")

    with pytest.raises(CommandError, match="GEN_T_BASE_URL: Без TLS"):
        call_command("bootstrap", stdout=StringIO())

    assert not Provider.objects.exists()
    assert not Model.objects.exists()


@pytest.mark.parametrize(
    ("find", "replace", "said"),
    [
        ("rates_since", "rates since", "catalogue.toml: "),
        ('adapter = "gigachat"', 'adapter = "telepathy"', "catalogue.toml: GigaChat: .*telepathy"),
        ('"GigaChat-Pro"', '"gigachat/lite"', "catalogue.toml: gigachat/lite: Так уже называется модель"),
        ('"json_schema"', '"json_shema"', "catalogue.toml: .*json_shema"),
        ("general = 75", "generally = 75", "catalogue.toml: gigachat/max: Неизвестные виды задач"),
    ],
)
def test_a_slip_in_the_catalogue_is_told_where_it_is(tmp_path, find, replace, said):
    edited = tmp_path / "catalogue.toml"
    edited.write_text(CATALOGUE.read_text().replace(find, replace))

    with pytest.raises(ImproperlyConfigured, match=said):
        bootstrap({}, edited)


def test_the_catalogue_names_everything_once():
    models = read_catalogue()["models"]

    names = [name.lower() for slug, table in models.items() for name in (slug, *table.get("aliases", []))]

    assert len(names) == len(set(names))


def test_yandex_is_probed_by_a_model_of_the_catalogue():
    bootstrap({})

    provider = Provider.objects.get(slug="yandexgpt")
    assert provider.endpoints.filter(upstream_name=provider.options["probe_model"]).exists()
