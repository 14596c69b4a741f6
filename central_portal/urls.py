"""Django's pages: those of sign-in, sign-out and visits to gateways."""

from __future__ import annotations

from central_portal.identity.views import urlpatterns as identity

urlpatterns = [*identity]
