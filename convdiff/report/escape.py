"""Text from outside (names, messages, code), made harmless and short enough to show."""

from __future__ import annotations


def printable(text: object, lines: bool = False) -> str:
    r"""`text` with every character that is neither visible nor a space as an escape, like `\x1b`.

    With `lines`, newlines stay and tabs become spaces.
    """
    text = str(text)
    if lines:
        text = text.replace("\r\n", "\n").expandtabs(4)
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or (lines and char == "\n") else _escape(char) for char in text
    )


def _escape(char: str) -> str:
    named = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}.get(char)
    if named:
        return named
    code = ord(char)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def shorten(text: str, limit: int = 240) -> str:
    """`text`, without its middle where it is longer than `limit` characters."""
    return text if len(text) <= limit else f"{text[: limit // 2 - 3]} ... {text[3 - limit // 2 :]}"
