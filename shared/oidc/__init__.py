"""The OpenID Connect client of the centre and of the gateway: Authlib for the flow, joserfc for the tokens.

Not standard library, and therefore a package of its own that only sign-in code imports.
"""

from shared.oidc.client import OidcError, OidcProvider, SignedIn, SignedOut
from shared.oidc.states import new_state, pack_state, unpack_state

__all__ = ["OidcError", "OidcProvider", "SignedIn", "SignedOut", "new_state", "pack_state", "unpack_state"]
