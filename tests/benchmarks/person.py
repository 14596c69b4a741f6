"""Signs somebody in at a centre that runs, with a grant at each facility: `python -m tests.benchmarks.person FACILITY…`.

Prints the cookie. What the browser's visits to the gateways would have left is written into the centre's database.
"""

from __future__ import annotations

import sys
import time
import uuid

SECRET = b"s" * 32


def grant_of(facility: str, person: int) -> str:
    """The id of a person's grant at a facility; its secret is `SECRET`."""
    return f"grant-{person}-{facility}"


def sign_in(facilities: list[str]) -> str:
    """The cookie of a new session."""
    from central_portal.identity import store
    from central_portal.identity.sealing import grant_label, seal, sealing_key
    from shared.identity import Subject
    from shared.wire.proof import hashed, token

    cookie, now, who = token(), time.time(), Subject("http://op", f"person0-{uuid.uuid4().hex[:8]}")
    store.open_session(cookie, "", who, "Ada", "op", f"sid-{who.sub}", "t", now, now + 3600)
    for slug in facilities:
        name = grant_of(slug, 0)
        box = seal(sealing_key(cookie), grant_label(slug, name), SECRET)
        assert store.save_grant(hashed(cookie), store.GrantRow(slug, name, box, "read run", 0, now + 3600))
    return cookie


if __name__ == "__main__":
    import django

    django.setup()
    print(sign_in(sys.argv[1:]))
