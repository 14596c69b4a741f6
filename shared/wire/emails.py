"""E-mail addresses in text that people wrote: they never leave a facility."""

from __future__ import annotations

import re

REPLACEMENT = "[e-mail]"
_AT = re.compile("([@\uff20\ufe6b])")
_LOCAL = re.compile(r'"[^"]{1,64}"|[^\s<>()\[\],;:"=/\\]+')
_LABEL = r'[^\s@.,;:<>()\[\]"/\\]+'
_DOMAIN = re.compile(rf"(?:{_LABEL}\.)+[^\W\d_]{_LABEL}|\[[\w.:]{{2,64}}\]")


def without_emails(said: str) -> str:
    """The text with each e-mail address replaced by `[e-mail]`; what is none stays, `beam@10.5keV` for one.

    An address is what stands before an at sign without a space, and after it a domain of two names or more whose last
    begins with a letter, or an address in brackets. Takes time that grows with the text's length alone: from each at
    sign nothing is looked at beyond the ones beside it.
    """
    before, *pieces = _AT.split(said)
    if not pieces:
        return said
    out: list[str] = []
    for sign, after in zip(pieces[::2], pieces[1::2], strict=True):
        domain = _DOMAIN.match(after)
        local = _LOCAL.match(before[::-1]) if domain else None
        rest = after[domain.end() :] if domain else after
        if domain is not None and local is not None:
            out += (before[: -local.end()], REPLACEMENT)
        elif domain is None or before or not out or out[-1] != REPLACEMENT:
            out += (before, sign)
            rest = after
        before = rest
    return "".join((*out, before))
