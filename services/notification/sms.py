"""How many parts a text message has.

The default alphabet is that of 3GPP TS 23.038, section 6.2.1: 160 septets in one part; anything outside makes it UCS-2,
70 units (3GPP TS 23.040, section 9.2.3.24.1: 153 and 67 when parts are joined).
"""

from __future__ import annotations

from typing import Final

_BASIC: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED: Final = frozenset("\f^{}\\[~]|€")


def parts(text: str) -> int:
    """The parts that ``text`` is sent, and charged, as."""
    if all(character in _BASIC or character in _EXTENDED for character in text):
        length, whole, joined = sum(1 + (character in _EXTENDED) for character in text), 160, 153
    else:
        length, whole, joined = len(text.encode("utf-16-be")) // 2, 70, 67
    return 1 if length <= whole else -(-length // joined)
