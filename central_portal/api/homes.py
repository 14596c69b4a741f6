"""Every facility as data, made anew only when it has changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from central_portal.api import render
from central_portal.facilities.services import FacilityView
from central_portal.identity.services import AccountLinkInfo


class Homes:
    """Keeps what an anonymous reader sees of each facility as long as it stands; a person sees a copy with more."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[FacilityView, int, render.Data]] = {}

    def of(
        self, views: Iterable[FacilityView], now: float, links: Mapping[str, AccountLinkInfo] | None
    ) -> dict[str, render.Data]:
        """The data of these facilities by slug; `links` is None for an anonymous reader. Not to be changed."""
        homes = {view.slug: self._home(view, now) for view in views}
        if links is None:
            return homes
        return {slug: render.personal_facility(home, links.get(slug)) for slug, home in homes.items()}

    def _home(self, view: FacilityView, now: float) -> render.Data:
        age = render.age(view, now)
        kept = self._kept.get(view.slug)
        if kept is None or kept[0] is not view or kept[1] != age:
            kept = self._kept[view.slug] = (view, age, render.facility(view, age))
        return kept[2]
