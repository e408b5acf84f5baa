"""What the published schema says of requests and answers in the reader's words, by component and field."""

TAGS = {
    "chat": "Разговор и продолжение текста. Полями и ответами — OpenAI.",
    "embeddings": "Векторы текстов.",
    "models": "Что можно спросить и сколько это стоит. Ключ не нужен.",
    "routing": "Кто и почему отвечает, и как у провайдеров дела.",
    "keys": "Создать, изменить и остановить ключи организации — с управляющим ключом `xr-mgmt-…`.",
    "account": "Ключ, деньги и записи о запросах.",
}

# By operation.
SUMMARIES = {
    "createChatCompletion": "Ответ на разговор",
    "createCompletion": "Продолжение текста",
    "createEmbedding": "Векторы текстов",
    "listModels": "Модели",
    "retrieveModel": "Одна модель",
    "listModelEndpoints": "Исполнители модели",
    "listModelCapabilities": "Возможности модели по полям",
    "retrieveParameters": "Обычные параметры модели",
    "planRoute": "Кто ответил бы",
    "retrieveGenerationRoute": "Почему ответил этот исполнитель",
    "listProviderStatuses": "Состояние провайдеров",
    "listKeys": "Ключи организации",
    "createKey": "Новый ключ",
    "retrieveManagedKey": "Один ключ",
    "updateKey": "Изменить ключ",
    "deleteKey": "Остановить ключ навсегда",
    "rotateKey": "Заменить ключ новым",
    "retrieveKey": "Ваш ключ",
    "retrieveCurrentKey": "Ваш ключ, адрес OpenRouter",
    "retrieveCredits": "Деньги",
    "retrieveGeneration": "Запись о запросе",
}

ABOUT = """\
Один API, совместимый с OpenAI, для российских языковых моделей: GigaChat, YandexGPT, MTS AI, GEN-T.

**Ключ.** `Authorization: Bearer xr-live-…` или `x-api-key: xr-live-…`. На запросы с ключом `xr-test-…`
отвечают двойники провайдеров, и денег это не стоит. Ключом `xr-mgmt-…` управляют другими ключами
(`/v1/keys`); модели с ним не спросить.

**Ошибки.** HTTP-статус и объект `error` в форме OpenAI. Строковый код — в `error.metadata.error_type`,
а с заголовком запроса `X-XRouter-Error-Codes: string` — и в `error.code`. Можно ли повторить, говорят
`x-should-retry` и `Retry-After`.

**Номера.** `x-request-id` есть у каждого ответа; с ним мы найдём запрос. Свой номер передайте
в `X-Request-Id` — он попадёт в запись о генерации.

**Неизвестные поля** не мешают: они идут дальше или пропадают, но не ошибка. Поле, которого модель
не знает, названо в заголовке `x-xrouter-dropped`.

Примеры и порядок действий — в [руководствах](/docs/guides/).
"""

_SAMPLING = {
    "temperature": "Разброс ответов: 0 — самый вероятный, 2 — самый смелый.",
    "top_p": "Выбирать из самых вероятных слов, вместе дающих эту долю.",
    "top_k": "Выбирать из стольких самых вероятных слов.",
    "min_p": "Не брать слов, вероятность которых меньше этой доли от вероятности лучшего.",
    "frequency_penalty": "Штраф за частые повторы.",
    "presence_penalty": "Штраф за любой повтор.",
    "repetition_penalty": "Штраф за повторы; 1 — без него.",
    "logit_bias": "Поправки к вероятностям токенов, по их номерам.",
    "seed": "Одинаковое зерно — по возможности одинаковый ответ.",
    "stop": "Строка или до 4 строк, перед которыми ответ кончается.",
    "max_tokens": "Самый длинный ответ, в токенах. Чем он короче, тем меньше денег резервируется.",
    "max_completion_tokens": "То же, что max_tokens; из двух действует меньшее.",
    "n": "Сколько ответов: один. Для нескольких отправьте несколько запросов.",
    "best_of": "Из скольких ответов выбирать: из одного.",
    "stream": "true — ответ событиями, по мере готовности.",
    "stream_options": "Только вместе со stream: true.",
    "response_format": "Вид ответа: текст, объект JSON или JSON по схеме.",
    "reasoning": "Сколько модели рассуждать и показывать ли рассуждения.",
    "reasoning_effort": "Сколько модели рассуждать.",
    "user": "Ваше обозначение того, кто спрашивает; хранится в записи о генерации.",
    "session_id": "Ваше обозначение разговора; хранится в записи о генерации.",
    "usage": "Как у OpenRouter: include — сообщить расход и в потоке.",
    "provider": "Кого из провайдеров спрашивать и в каком порядке.",
    "models": "Запасные модели: их спросят по порядку, если первая не ответит.",
}
_MODEL = "Имя модели из GET /v1/models, любым из её имён; xrouter/auto — выбрать самому XRouter."
_LIMIT = "Лимит этого ключа, рядом с лимитами организации; null — без него."
_OF_KEY = {
    "label": "Название, до 100 символов.",
    "name": "То же, что label, как у OpenRouter.",
    "limit": "Предел расходов, ₽; null — без предела.",
    "limit_reset": "Как часто предел считается заново, в полночь по Москве; null и none — никогда.",
    "expires_at": "Когда ключ перестанет работать: дата и время со смещением; null — бессрочный.",
    "allowed_models": "Какие модели можно спрашивать; пусто или null — все.",
    "allowed_addresses": "С каких IP-адресов и сетей; пусто или null — с любых.",
    "requests_per_second": _LIMIT,
    "requests_per_minute": _LIMIT,
    "requests_per_day": _LIMIT,
    "tokens_per_minute": _LIMIT,
    "concurrent_requests": _LIMIT,
}
# Of fields that the table passes over: what becomes of them.
UNHEARD_FIELD = "Принимается и ни на что не влияет."
VENDORS_FIELD = "Передаётся провайдеру, если он знает это поле; иначе названо в x-xrouter-dropped."

FIELDS: dict[str, dict[str, str]] = {
    "ChatRequest": {
        **_SAMPLING,
        "model": _MODEL,
        "messages": "Разговор, старшие сообщения раньше. Или messages, или prompt.",
        "prompt": "Одно сообщение пользователя вместо messages.",
        "tools": "Функции, которые модель может попросить вызвать.",
        "tool_choice": "Вызывать ли функцию: none, auto, required или названная из tools.",
        "parallel_tool_calls": "Можно ли просить о нескольких вызовах сразу.",
        "functions": "Прежняя форма tools.",
        "function_call": "Прежняя форма tool_choice.",
        "logprobs": "Сообщать вероятности токенов, если модель умеет.",
        "top_logprobs": "Сколько вариантов на токен; только с logprobs: true.",
        "verbosity": "Насколько подробно отвечать.",
    },
    "CompletionRequest": {
        **_SAMPLING,
        "model": _MODEL,
        "prompt": "Текст, который надо продолжить: строка или массив из одной строки.",
        "echo": "true — повторить prompt в начале ответа.",
        "max_tokens": "Самый длинный ответ, в токенах; если не указан — 16.",
        "suffix": "Вставка перед готовым окончанием не поддерживается.",
        "logprobs": "Вероятности здесь не сообщаются.",
        "metadata": UNHEARD_FIELD,
    },
    "EmbeddingsRequest": {
        "model": "Имя модели векторов из GET /v1/models.",
        "input": "Текст или до 2048 текстов. Токены вместо текстов не принимаются.",
        "encoding_format": "float — числа, base64 — те же числа float32 подряд, младшие байты вперёд.",
        "dimensions": "Сколько чисел в векторе, если модель умеет это менять.",
        "input_type": "Для чего текст: запрос или документ, если модели это важно.",
        "user": _SAMPLING["user"],
        "provider": _SAMPLING["provider"],
    },
    "NewKey": {**_OF_KEY, "is_test": "true — тестовый: отвечают двойники, денег это не стоит."},
    "KeyChange": {**_OF_KEY, "disabled": "true — отключить, false — включить снова."},
    "KeyRotation": {
        "grace_seconds": "Сколько секунд ещё работает прежний ключ: 0, 3600, 86400 или 604800; обычно сутки."
    },
    "Preferences": {
        "order": "Провайдеры, которых спрашивать сначала, по порядку.",
        "only": "Спрашивать только этих.",
        "ignore": "Этих не спрашивать.",
        "allow_fallbacks": "false — спросить только названных в order, а без него — только первого.",
        "require_parameters": "true — только те, кто знает все поля запроса; иначе непонятное отбрасывается.",
        "data_collection": "deny — только те, кто не учится на запросах.",
        "sort": "По чему упорядочить: цена, скорость, задержка.",
        "max_price": "Не дороже, ₽ за 1000 токенов и за запрос.",
        "preferred_min_throughput": "Не медленнее, токенов в секунду. Кто медленнее, стоит позади.",
        "preferred_max_latency": "Первый токен не позже, секунд. Кто медленнее, стоит позади.",
        "region": "Только те, кто обрабатывает данные в этой стране: две буквы, например ru.",
    },
    "ChatCompletion": {
        "id": "Номер генерации: с ним — GET /v1/generation.",
        "model": "Модель, которая ответила.",
        "provider": "Провайдер, который ответил.",
        "system_fingerprint": "twin — ответил двойник провайдера.",
    },
    "Usage": {
        "prompt_tokens_details": "Сколько токенов запроса взято из кеша; 0, если провайдер этого не сказал.",
        "completion_tokens_details": "Сколько токенов ответа — мысли; 0, если провайдер этого не сказал.",
        "cost": "Списано за ответ, ₽.",
        "cost_details": "Из чего сложилась цена.",
    },
    "ErrorObject": {
        "message": "Предложение для человека. Ваш текст в нём не повторяется.",
        "param": "Путь поля, из-за которого запрос отклонён: messages[2].content.",
        "code": "HTTP-статус; с заголовком X-XRouter-Error-Codes: string — слово, как у OpenAI.",
    },
    "ErrorMetadata": {
        "error_type": "Строковый код.",
        "retryable": "Есть ли смысл повторить тот же запрос.",
        "request_id": "Тот же, что в x-request-id.",
        "docs_url": "Страница об ошибках и повторах.",
        "retry_after": "Через сколько секунд; то же в Retry-After.",
        "provider_name": "Провайдер, который ответил ошибкой.",
        "reasons": "Почему не подошёл каждый из исполнителей.",
        "model_slug": "Модель, которой нет.",
        "attempts": "Сколько было попыток.",
        "missing": "Сколько не хватает.",
        "path": "Где ответ не подходит под response_format; пусто — весь.",
        "repairs": "Сколько раз модель спросили заново.",
        "key_id": "Ключ, который создан раньше.",
    },
}

# What the descriptions of components say, where their own words are for programmers.
COMPONENTS = {
    "ChatRequest": "Разговор. Нужны model (или models) и одно из двух: messages или prompt.",
    "CompletionRequest": "Текст, который надо продолжить.",
    "EmbeddingsRequest": "Тексты, из которых сделать векторы.",
    "NewKey": "Ключ, который надо создать: нужно название. Неизвестное поле — 400.",
    "KeyChange": "Что изменить. Неизвестное поле — 400.",
    "KeyRotation": "Сколько ещё работает прежний ключ.",
    "Preferences": "Кого из провайдеров спрашивать. Поля, которых нет или которые null, ничего не требуют.",
    "ChatCompletion": "Ответ целиком.",
    "ChatEvent": "Событие потока.",
    "TextEvent": "Событие потока.",
    "ChatChunk": "Кусок ответа. choices пуст у куска с расходом.",
    "TextCompletion": "Ответ целиком или кусок его; choices пуст у куска с расходом.",
    "Error": "Ошибка, в форме OpenAI.",
    "ErrorObject": "Что случилось и что с этим делать.",
    "EmbeddingList": "Векторы в порядке текстов.",
}
