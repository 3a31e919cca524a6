"""`multipart/form-data` with one file in it, parsed as it arrives (RFC 7578).

Fields may stand before or after the file. The file's bytes are handed out in pieces and never
held whole; everything else is bounded.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from core.errors import InvalidRequest, TooLarge
from core.validation import shown

MAX_BOUNDARY = 70  # characters, RFC 2046, 5.1.1
MAX_FIELD_BYTES = 1024
MAX_FILENAME = 255  # characters
FRAMING_BYTES = 64 * 1024  # boundaries, headers and fields around the file


@dataclass(frozen=True)
class Form:
    """What a form may hold: a file under the name `file`, and fields beside it."""

    file: str
    fields: tuple[str, ...]
    most: int  # bytes of the file
    too_large: str  # code and advice of the refusal of a larger one
    advice: str

    @property
    def names(self) -> str:
        return ", ".join((self.file, *self.fields))

    def refusal(self, size: int) -> TooLarge:
        """The refusal of a file over the limit, by what is known of its size."""
        return TooLarge(
            f"The {self.file} has at least {size} bytes; the most is {self.most}. {self.advice}",
            code=self.too_large,
            param=self.file,
        )


def boundary_of(content_type: str | None, form: Form) -> bytes:
    """The boundary that a Content-Type names. Raises InvalidRequest."""
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data":
        raise InvalidRequest(
            f"The Content-Type is {shown(content_type or '')}; send multipart/form-data with the "
            f"fields {form.names}.",
            code="invalid_content_type",
        )
    boundary = options.get(b"boundary", b"")
    if not 0 < len(boundary) <= MAX_BOUNDARY:
        raise InvalidRequest(
            f"The multipart boundary has {len(boundary)} characters; it must have 1 to "
            f"{MAX_BOUNDARY}.",
            code="invalid_multipart",
        )
    return boundary


class FormReader:
    """Feed it the body; it collects fields and hands out the file's bytes."""

    def __init__(self, boundary: bytes, form: Form) -> None:
        self.values: dict[str, str] = {}
        self.filename: str | None = None  # set once the file has begun
        self._form = form
        self._file_bytes = 0
        self._pieces: list[bytes] = []
        self._complete = False
        self._header_name = bytearray()
        self._header_value = bytearray()
        self._disposition = ""
        self._part: str | None = None
        self._value = bytearray()
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin_part,
                "on_header_field": self._add_header_name,
                "on_header_value": self._add_header_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._end_headers,
                "on_part_data": self._add_data,
                "on_part_end": self._end_part,
                "on_end": self._end,
            },
        )

    def feed(self, chunk: bytes) -> bytes:
        """The file's bytes in this chunk of the body. Raises InvalidRequest and TooLarge."""
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise InvalidRequest(
                f"The multipart body cannot be read: {error}.", code="invalid_multipart"
            ) from error
        pieces, self._pieces = self._pieces, []
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def finish(self) -> None:
        """The body has ended. Raises InvalidRequest when the form has not."""
        if not self._complete:
            raise InvalidRequest(
                "The multipart body ends before its closing boundary: the upload was cut off. "
                "Send it again.",
                code="invalid_multipart",
            )
        if self.filename is None:
            name = self._form.file
            raise InvalidRequest(f"{name} is missing.", code="missing_field", param=name)

    def _begin_part(self) -> None:
        self._disposition = ""
        self._value.clear()

    def _add_header_name(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _add_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _end_header(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            self._disposition = self._header_value.decode("latin-1")
        self._header_name.clear()
        self._header_value.clear()

    def _end_headers(self) -> None:
        _, options = parse_options_header(self._disposition)
        name = options.get(b"name", b"").decode(errors="replace")
        if name == self._form.file:
            if self.filename is not None:
                raise InvalidRequest(
                    f"{name} is given twice; send one a request.",
                    code="invalid_multipart",
                    param=name,
                )
            self.filename = clean_filename(options.get(b"filename", b"").decode(errors="replace"))
        elif name not in self._form.fields:
            raise InvalidRequest(
                f"{shown(name)} is not a field of this request; the fields are {self._form.names}.",
                code="unknown_field",
                param=name[:MAX_FILENAME] or None,
            )
        elif name in self.values:
            raise InvalidRequest(f"{name} is given twice.", code="invalid_multipart", param=name)
        self._part = name

    def _add_data(self, data: bytes, start: int, end: int) -> None:
        if self._part == self._form.file:
            self._add_to_file(data[start:end])
            return
        self._value += data[start:end]
        if len(self._value) > MAX_FIELD_BYTES:
            raise TooLarge(
                f"{self._part} has more than {MAX_FIELD_BYTES} bytes, the most for a field.",
                code="field_too_large",
                param=self._part,
            )

    def _add_to_file(self, piece: bytes) -> None:
        self._file_bytes += len(piece)
        if self._file_bytes > self._form.most:
            raise self._form.refusal(self._file_bytes)
        self._pieces.append(piece)

    def _end_part(self) -> None:
        if self._part is not None and self._part != self._form.file:
            self.values[self._part] = self._value.decode(errors="replace")
        self._part = None

    def _end(self) -> None:
        self._complete = True


def clean_filename(raw: str) -> str:
    """The last part of whatever path a client sent, printable, of bounded length."""
    base = raw.replace("\\", "/").rpartition("/")[2]
    printable = "".join(c for c in base if unicodedata.category(c)[0] != "C")
    return printable.strip()[-MAX_FILENAME:] or "upload"
