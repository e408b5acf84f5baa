"""Server-sent events, cut into payloads. Pure: bytes in, payload bytes out, wherever the borders fall."""

from collections.abc import Iterator

from providers.errors import Broken

# One event larger than this is refused: a tool call with a large document fits, an attack does not.
EVENT_LIMIT = 4 * 1024 * 1024

BOM = b"\xef\xbb\xbf"


class Events:
    """Collects bytes and yields the ``data`` of every whole event.

    Takes LF, CRLF and CR as line ends, a missing space after the colon, comments, several data lines
    in one event and a byte order mark at the start (WHATWG HTML, section 9.2.6).
    """

    def __init__(self) -> None:
        self._rest = b""
        self._lines: list[bytes] = []
        self._started = False
        self._after_cr = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Payloads that ``data`` completes. Raises Broken on an event over EVENT_LIMIT."""
        data = self._without_bom(data)
        buffer = self._rest + data
        if b"\r" in buffer or self._after_cr:
            buffer = self._with_plain_ends(buffer)
        *lines, self._rest = buffer.split(b"\n")
        if len(self._rest) > EVENT_LIMIT:
            raise Broken(detail="an event over the size limit")
        for line in lines:
            if line:
                self._take(line)
            elif self._lines:
                yield self._payload()

    def end(self) -> Iterator[bytes]:
        """The last event, if the vendor forgot the blank line after it."""
        if self._rest:
            self._take(self._rest)
            self._rest = b""
        if self._lines:
            yield self._payload()

    def _take(self, line: bytes) -> None:
        if line.startswith(b"data:"):
            self._lines.append(line[6:] if line[5:6] == b" " else line[5:])

    def _payload(self) -> bytes:
        payload = b"\n".join(self._lines)
        self._lines = []
        return payload

    def _without_bom(self, data: bytes) -> bytes:
        if self._started:
            return data
        head = self._rest + data
        if len(head) < len(BOM) and BOM.startswith(head):
            return data
        self._started = True
        if not head.startswith(BOM):
            return data
        self._rest = b""
        return head[len(BOM) :]

    def _with_plain_ends(self, buffer: bytes) -> bytes:
        # A CR at the very end may be half of a CRLF: its LF, should it come next, ends no second line.
        if self._after_cr and buffer.startswith(b"\n", len(self._rest)):
            buffer = buffer[: len(self._rest)] + buffer[len(self._rest) + 1 :]
        self._after_cr = buffer.endswith(b"\r")
        return buffer.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
