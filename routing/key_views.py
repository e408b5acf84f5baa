"""``/v1/keys``: a client's programs look after its keys, with a management key. The rules are the pages'.

Management keys themselves are not there: whoever has one can neither make another nor stop it.
"""

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from asgiref.sync import async_to_sync
from django.forms import Form
from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.errors import AlreadyMade, InvalidKey, KeyNotChanged, TooManyChanges
from accounts.guesses import Counts
from accounts.models import ApiKey, Client, KeyKind
from accounts.views import SAFE
from billing import key_changes
from billing.key_changes import Author
from billing.key_forms import DAY, CustomersKeyForm, RotateForm
from billing.models import Reset
from billing.pages import first
from billing.statements import KeyStatement, key_statement, key_statements
from routing import key_schema as told
from routing.desk import json_body
from routing.errors import BadRequest, KeyAlreadyMade, KeyConflict, UnknownKey
from routing.key_shape import KeyChange, KeyRotation, NewKey, field_of, read_key, read_only
from routing.rest import V1View, arrival_of, bearer_of
from routing.schema_examples import asked

PAGE, LONGEST_PAGE = 50, 100
# Of a client in one web process: changes at once, and how many more a second. Each is a line of the journal.
BURST, PER_SECOND = 60, 1.0
LONGEST_WISH = 255  # characters of an Idempotency-Key

BY_ID = OpenApiParameter(
    "id",
    str,
    OpenApiParameter.PATH,
    description="`id` ключа: его начало, `xr-live-…`.",
    examples=[OpenApiExample("Ключ", told.ID)],
)
WISH = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "maxLength": LONGEST_WISH},
    OpenApiParameter.HEADER,
    description="Ваш номер запроса. С тем же номером второго ключа не будет: 409 и `id` первого.",
)


class KeysView(V1View):
    """For management keys alone. What they change, the journal tells of them."""

    changes = Counts(PER_SECOND, BURST + PER_SECOND, time.monotonic)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if request.method == "OPTIONS":  # browsers ask before they may show a key
            return
        if request.method not in self.allowed_methods:  # as elsewhere told before anybody is asked who he is
            self.http_method_not_allowed(request)
        caller = bearer_of(request)
        caller.check_that_it_manages()
        if request.method not in SAFE:
            over = self.changes.add(str(caller.client_id)) - BURST
            if over > 0:
                raise TooManyChanges(retry_after=over / PER_SECOND)
        manager = ApiKey.objects.select_related("client").filter(pk=caller.key_id).first()
        if manager is None:
            raise InvalidKey
        self.manager: ApiKey = manager
        request._request.managing_key = str(manager)

    @property
    def home(self) -> Client:
        return self.manager.client

    @property
    def author(self) -> Author:
        return Author(key=self.manager)

    def keys(self) -> Any:
        """Those that programs look after."""
        return self.home.keys.filter(removed_at=None, for_playground=False).exclude(kind=KeyKind.MANAGEMENT)

    def body(self, request: Request) -> bytes:
        return async_to_sync(json_body)(arrival_of(request._request))

    def wish(self, request: Request, what: str) -> str:
        """What the wish for ``what`` is known by, if the program has numbered it. Raises BadRequest."""
        number = request.headers.get("Idempotency-Key", "")
        if len(number) > LONGEST_WISH:
            raise BadRequest(f"Заголовок Idempotency-Key длиннее {LONGEST_WISH} символов.")
        digest = hashlib.sha256(f"{what}\n{number}".encode()).hexdigest()[:40]
        return f"api-{self.manager.pk}-{digest}" if number else ""

    @contextmanager
    def held(self, key_id: str) -> Iterator[ApiKey]:
        """The key, which nobody else changes meanwhile. Raises UnknownKey, KeyConflict."""
        if not told.is_id(key_id):
            raise UnknownKey
        try:
            with key_changes.held(self.keys(), key_id) as key, in_our_words():
                yield key
        except ApiKey.DoesNotExist:
            raise UnknownKey from None


class ManagedKeys(KeysView):
    @extend_schema(
        operation_id="listKeys",
        responses=told.LIST_RESPONSES,
        examples=told.shown(told.LIST),
        tags=["keys"],
        parameters=[
            OpenApiParameter("after", str, description="`id` ключа, с которого кончилась прежняя страница."),
            OpenApiParameter("limit", {"type": "integer", "minimum": 1, "maximum": LONGEST_PAGE}),
        ],
    )
    def get(self, request: Request) -> Response:
        """Ключи вашей организации, новые раньше. Управляющих, удалённых и ключей песочницы здесь нет."""
        # Whoever counts on it would read one page for ever.
        if request.query_params.get("offset", "0") != "0":
            raise BadRequest("Параметра offset нет: листайте с after.", param="offset")
        rows = self.keys().order_by("-pk")
        if after := request.query_params.get("after"):
            last = self.home.keys.filter(prefix=after).first() if told.is_id(after) else None
            if last is None:
                raise UnknownKey
            rows = rows.filter(pk__lt=last.pk)
        found, has_more = first(rows.values_list("pk", flat=True), _page(request))
        keys = key_statements(self.home.keys.filter(pk__in=found).order_by("-pk"), timezone.now())
        return Response(told.KeyListSerializer({"data": keys, "has_more": has_more}).data)

    @extend_schema(
        operation_id="createKey",
        request=told.CREATE_REQUEST,
        responses=told.CREATE_RESPONSES,
        examples=[*asked(told.CREATED), *told.shown(told.MADE)],
        tags=["keys"],
        parameters=[WISH],
    )
    def post(self, request: Request) -> Response:
        """Новый ключ. Целиком он есть только в этом ответе, в поле `key`."""
        said = read_key(NewKey, self.body(request))
        kind = KeyKind.TEST if said.pop("is_test", None) else KeyKind.LIVE
        form = CustomersKeyForm({**said, "kind": kind}, instance=ApiKey(client=self.home))
        _check(form)
        _check_reset(form)
        with in_our_words():
            key, plaintext = key_changes.create(self.home, form, self.author, self.wish(request, "create"))
        return Response(_made(key, plaintext))


class ManagedKey(KeysView):
    @extend_schema(
        operation_id="retrieveManagedKey",
        responses=told.KEY_RESPONSES,
        examples=told.shown(told.ONE),
        tags=["keys"],
        parameters=[BY_ID],
    )
    def get(self, request: Request, id: str) -> Response:  # noqa: A002 - as the address has it
        """Один ключ: что ему можно и сколько им потрачено."""
        key = self.keys().filter(prefix=id).first() if told.is_id(id) else None
        if key is None:
            raise UnknownKey
        return Response(_one(key))

    @extend_schema(
        operation_id="updateKey",
        request=told.CHANGE_REQUEST,
        responses=told.CHANGE_RESPONSES,
        examples=[*asked(told.CHANGED), *told.shown(told.ONE)],
        tags=["keys"],
        parameters=[BY_ID],
    )
    def patch(self, request: Request, id: str) -> Response:  # noqa: A002
        """Меняет названное, остальное остаётся. `null` снимает ограничение."""
        said = read_key(KeyChange, self.body(request))
        disabled = said.pop("disabled", None)
        with self.held(id) as key:
            form = CustomersKeyForm(said, instance=key).only(*said)
            _check(form)
            _check_reset(form)
            key_changes.change(key, form)
            if disabled is not None:
                (key_changes.stop if disabled else key_changes.start)(key)
        return Response(_one(key))

    @extend_schema(
        operation_id="deleteKey",
        responses=told.DELETE_RESPONSES,
        examples=told.shown(told.GONE),
        tags=["keys"],
        parameters=[BY_ID],
    )
    def delete(self, request: Request, id: str) -> Response:  # noqa: A002
        """Останавливает ключ навсегда. Записи о его запросах остаются."""
        with self.held(id) as key:
            key_changes.remove(key)
        return Response(told.DeletedKeySerializer({"id": key.prefix}).data)


class ManagedKeyRotation(KeysView):
    @extend_schema(
        operation_id="rotateKey",
        request=told.ROTATE_REQUEST,
        responses=told.ROTATE_RESPONSES,
        examples=[*asked(told.ROTATED), *told.shown(told.MADE)],
        tags=["keys"],
        parameters=[BY_ID, WISH],
    )
    def post(self, request: Request, id: str) -> Response:  # noqa: A002
        """Новый ключ, которому можно то же самое; прежний ещё работает сколько сказано."""
        said = read_only(KeyRotation, self.body(request))
        seconds = said.get("grace_seconds")
        form = RotateForm({"grace": DAY if seconds is None else seconds})
        _check(form)
        with self.held(id) as old:
            wish = self.wish(request, f"rotate {old.pk}")
            new, plaintext = key_changes.replace(old, form.cleaned_data["grace"], self.author, wish)
        return Response(_made(new, plaintext))


@contextmanager
def in_our_words() -> Iterator[None]:
    """Raises KeyConflict for what the pages would tell a person."""
    try:
        yield
    except AlreadyMade as exc:
        raise KeyAlreadyMade(exc.key.prefix) from None
    except KeyNotChanged as exc:
        raise KeyConflict(str(exc)) from None


def _check(form: Form) -> None:
    """Raises BadRequest for the first of the fields that the form does not take."""
    for name, errors in form.errors.items():
        field = field_of(name)
        raise BadRequest(f"Поле {field}: {' '.join(errors)}", param=field)


def _check_reset(form: CustomersKeyForm) -> None:
    """Raises BadRequest for a period of a limit that is not there."""
    amount = form.cleaned_data.get("cap", form.known_cap and form.known_cap.amount)
    if amount is None and form.cleaned_data.get("reset", Reset.NONE) != Reset.NONE:
        raise BadRequest("Поле limit_reset: нужен и предел, limit.", param="limit_reset")


def _page(request: Request) -> int:
    text = request.query_params.get("limit", str(PAGE))
    if not (text.isascii() and text.isdigit() and len(text) < 9 and 1 <= int(text) <= LONGEST_PAGE):
        raise BadRequest(f"Параметр limit: число от 1 до {LONGEST_PAGE}.", param="limit")
    return int(text)


def _statement(key: ApiKey) -> KeyStatement:
    return key_statement(key.pk, timezone.now())


def _one(key: ApiKey) -> Any:
    return told.ManagedKeyAnswerSerializer({"data": _statement(key)}).data


def _made(key: ApiKey, plaintext: str) -> Any:
    return told.NewKeyAnswerSerializer({"data": _statement(key), "key": plaintext}).data
