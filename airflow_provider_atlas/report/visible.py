"""Text from strangers, made safe to look at: what would act on its reader is spelled out instead.

Task ids, URIs and details come out of records. An escape sequence among them would repaint a terminal, an override of
the writing direction (U+202E) would make one name read as another, and a lone surrogate could not be written at all.
"""

import shlex


def visible(text: str) -> str:
    r"""Return ``text`` with every character that is not printable spelled as Python does.

    >>> visible("a\x1b[2Jb\u202ec")
    'a\\x1b[2Jb\\u202ec'
    """
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else _spelled(character) for character in text)


def shell_word(text: str) -> str:
    r"""Return ``text`` as one word for a POSIX shell, or, where it holds what cannot be printed, for bash.

    >>> shell_word("manual__2026-01-31; reboot")
    "'manual__2026-01-31; reboot'"
    """
    if text.isprintable():
        return shlex.quote(text)
    quoted = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"$'{visible(quoted)}'"


def _spelled(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
