"""The mirror on PostgreSQL: its order of text, its bounds and its locks are its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.databases import django_on
from tests.integration.test_finding import (  # noqa: F401
    link,
    test_open_data_are_found_by_either_and_no_facility_is_asked,
    test_strange_text_names_nothing,
)
from tests.integration.test_mirror import (  # noqa: F401 (the same tests, on another database)
    settled,
    test_after_a_whole_round_the_mirror_is_what_is_open,
    test_every_relation_of_the_mirror_is_followed,
    test_text_of_any_kind_has_room,
    test_the_panosc_interface_serves_the_mirror,
    test_what_is_read_again_and_is_the_same_keeps_its_time,
)
from tests.integration.test_mirror_search import (  # noqa: F401
    test_a_foreign_cursor_is_refused,
    test_a_thousand_strangers_cost_no_facility_anything,
    test_strange_text_is_data,
    test_the_best_match_first_through_graphql,
    test_the_mirror_answers_as_a_catalogue_does,
)
from tests.integration.test_open_datasets import (  # noqa: F401
    test_a_harvester_that_goes_on_from_its_cursor_has_what_is_open,
)
from tests.integration.test_open_facets import (  # noqa: F401
    test_a_facility_is_counted_again_only_when_its_datasets_have_changed,
    test_facets_are_what_counting_rows_says,
    test_graphql_tells_the_same_and_names_what_it_counts,
    test_values_and_groups_are_bounded,
)
from tests.services import running_postgres

pytestmark = pytest.mark.needs("postgresql")


@pytest.fixture(scope="module", autouse=True)
def server(database: Path) -> Iterator[None]:
    with running_postgres() as server, django_on(server, "mirror"):
        yield
