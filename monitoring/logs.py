"""Log lines as JSON objects, one event a line. Never a prompt, an answer or a secret."""

import json
import logging
import re
import traceback
from datetime import UTC, datetime

# What every record has; anything else on it was given as ``extra`` and is written out.
STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
# Django's own requests tell their whole address: whoever puts his key into a query would find it here.
UNTOLD = STANDARD | {"request"}
# What JSON may hold as it is, and a terminal or a reader of lines takes for an order: C1 controls, DEL, the
# separators of lines and paragraphs, directions of writing; and half a surrogate pair, which no file takes.
UNSAFE = re.compile("[\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class JsonFormatter(logging.Formatter):
    """Text with line breaks, quotes or control characters stays one line: JSON escapes it."""

    def format(self, record: logging.LogRecord) -> str:
        event = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        event |= {name: value for name, value in vars(record).items() if name not in UNTOLD}
        if record.exc_info:
            event["traceback"] = self.formatException(record.exc_info)
        line = json.dumps(event, ensure_ascii=False, default=repr)
        return UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", line)


def report_bug(log: logging.Logger, exc: Exception, **about: str) -> None:
    """Log an exception nobody foresaw: its kind and place, without its text, which may quote a prompt.

    ``about``: of what it is, such as ``request_id``.
    """
    frames = [
        f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(exc.__traceback__)
    ]
    log.error("unforeseen", extra={**about, "error": type(exc).__name__, "frames": frames})
