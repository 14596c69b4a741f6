"""The stand-in of ICAT answers queries as strictly, and as surprisingly, as ICAT's source says."""

from __future__ import annotations

from datetime import timedelta, timezone

import pytest

from tests.icat_door import Door, door
from tests.icat_dump import USERS
from tests.standins.icat import Refused, build

__all__ = ["door"]
pytestmark = pytest.mark.needs("icat-data")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("SELECT o FROM Experiment o", "BAD_PARAMETER"),
        ("SELECT o FROM investigation o", "BAD_PARAMETER"),
        ("SELECT o.colour FROM Investigation o", "BAD_PARAMETER"),
        ("SELECT o.name.x FROM Investigation o", "BAD_PARAMETER"),
        ("SELECT x FROM Investigation o", "BAD_PARAMETER"),
        ("SELECT name FROM Investigation o", "BAD_PARAMETER"),
        ("SELECT o FROM Investigation o WHERE o.colour = 1", "BAD_PARAMETER"),
        ("SELECT o FROM Investigation o WHERE name = 'x'", "BAD_PARAMETER"),
        ("SELECT o FROM Investigation o WHERE o.datasets.name = 'x'", "BAD_PARAMETER"),
        ("SELECT o FROM Investigation o WHERE o.name = ", "BAD_PARAMETER"),
        ("SELECT o FROM Investigation o WHERE o.name = 'x", "BAD_PARAMETER"),
        ("SELECT o FROM Investigation o WHERE o.name == 'x'", "BAD_PARAMETER"),
        ("SELECT o FROM Investigation o WHERE (o.name = 'x'", "BAD_PARAMETER"),
        ("SELECT o FROM Investigation o WHERE o.name IN ()", "BAD_PARAMETER"),
        ("SELECT o FROM Investigation o WHERE o.name LIKE 'a!' ESCAPE '!'", "BAD_PARAMETER"),
        ("SELECT o FROM Investigation o WHERE o.startDate > {ts 2012-01-01}", "BAD_PARAMETER"),
        ("SELECT o FROM Investigation o WHERE o.startDate > {ts 2012-13-01 00:00:00}", "BAD_PARAMETER"),
        ("SELECT o FROM Investigation o WHERE o.name = :other", "INTERNAL"),
        ("SELECT o FROM Investigation o\nWHERE o.name = 'x'", "BAD_PARAMETER"),
        ("SELECT o FROM Investigation o WHERE o.name = 'x';", "BAD_PARAMETER"),
        ('SELECT o FROM Investigation o WHERE o.name = "x"', "BAD_PARAMETER"),
        ("SELECT o FROM Investigation o -- all", "BAD_PARAMETER"),
        ("SELECT o FROM Investigation o JOIN o.colours c", "BAD_PARAMETER"),
        ("SELECT o FROM Investigation o JOIN x.datasets c", "BAD_PARAMETER"),
        ("SELECT o FROM Investigation o JOIN o.datasets o", "BAD_PARAMETER"),
        ("SELECT o FROM Investigation o JOIN FETCH o.datasets d", "BAD_PARAMETER"),
        ("SELECT o FROM Investigation o INCLUDE o.colour", "BAD_PARAMETER"),
        ("SELECT o FROM Investigation o INCLUDE o", "BAD_PARAMETER"),
        ("SELECT o FROM Investigation o INCLUDE o.datasets, o.datasets", "BAD_PARAMETER"),
        ("SELECT o FROM Investigation o INCLUDE 1, o.datasets", "BAD_PARAMETER"),
        ("SELECT o.id, o.name FROM Investigation o INCLUDE o.datasets", "BAD_PARAMETER"),
        ("SELECT o FROM Investigation o LIMIT 5", "BAD_PARAMETER"),
        ("SELECT o FROM Investigation o LIMIT 0, 5 LIMIT 0, 5", "BAD_PARAMETER"),
        ("SELECT o FROM Investigation o LIMIT -1, 5", "BAD_PARAMETER"),
        ("SELECT o FROM Investigation o ORDER BY o.colour", "BAD_PARAMETER"),
        ("SELECT DISTINCT o FROM Investigation o JOIN o.datasets d ORDER BY d.name", "BAD_PARAMETER"),
        ("SELECT o FROM Investigation o; DELETE FROM Investigation", "BAD_PARAMETER"),
        ("DELETE FROM Investigation o", "BAD_PARAMETER"),
        ("", "BAD_PARAMETER"),
        ("SELECT", "BAD_PARAMETER"),
        ("SELECT o FROM Investigation o WHERE o.name = 1", "NOT_IMPLEMENTED"),
        ("SELECT o FROM Investigation o WHERE o.id IN (SELECT d.id FROM Dataset d)", "NOT_IMPLEMENTED"),
        ("SELECT o FROM Investigation o WHERE o.fileSize > 1 + 1", "NOT_IMPLEMENTED"),
        ("SELECT o.name, COUNT(o) FROM Investigation o GROUP BY o.name", "NOT_IMPLEMENTED"),
        ("SELECT o FROM Investigation o, Dataset d", "NOT_IMPLEMENTED"),
        (r"SELECT o FROM Investigation o WHERE o.name LIKE 'a\_b'", "NOT_IMPLEMENTED"),
    ],
)
async def test_a_query_that_is_none_is_refused(door: Door, query: str, code: str) -> None:
    status = {"BAD_PARAMETER": 400, "INTERNAL": 500, "NOT_IMPLEMENTED": 501}[code]
    assert await door.refused(query) == (status, code)


@pytest.mark.parametrize(
    ("rest", "names"),
    [
        ("o WHERE o.name = '10100601-ST'", {"10100601-ST"}),
        ("o WHERE o.name <> '10100601-ST'", {"08100122-EF", "12100409-ST"}),
        ("o WHERE o.name != '10100601-ST' AND NOT o.title LIKE 'NiO%'", {"08100122-EF"}),
        ("o WHERE LOWER(o.title) LIKE '%nio%' OR o.fileCount = 4", {"12100409-ST", "10100601-ST"}),
        ("o WHERE o.fileCount >= 4 AND o.fileCount < 6", {"10100601-ST"}),
        ("o WHERE o.fileSize BETWEEN 200000 AND 400000.5", {"08100122-EF"}),
        ("o WHERE o.name IN ('12100409-ST', '08100122-EF', 'x')", {"12100409-ST", "08100122-EF"}),
        ("o WHERE o.name NOT IN ('12100409-ST', '08100122-EF')", {"10100601-ST"}),
        ("o WHERE o.endDate IS NULL", {"08100122-EF"}),
        ("o WHERE o.endDate IS NOT NULL", {"10100601-ST", "12100409-ST"}),
        ("o WHERE NOT (o.endDate > {ts 2011-01-01 00:00:00})", {"10100601-ST"}),
        (
            "o WHERE o.startDate > {ts 2010-09-30 10:27:23} AND o.startDate < {ts 2010-09-30 10:27:25}",
            {"10100601-ST"},
        ),
        ("o WHERE o.startDate < CURRENT_TIMESTAMP", {"10100601-ST", "12100409-ST", "08100122-EF"}),
        ("o WHERE o.publications IS NOT EMPTY", {"10100601-ST"}),
        ("o WHERE o.name LIKE '1_1006%'", {"10100601-ST"}),
        ("o WHERE o.name LIKE '1!_%' ESCAPE '!'", set()),
        ("o WHERE o.visitId LIKE '1.1-P'", {"08100122-EF", "12100409-ST"}),
        ("o JOIN o.investigationInstruments AS ii JOIN ii.instrument AS i WHERE i.name = 'E2'", {"10100601-ST"}),
        ("o join O.investigationUsers u where U.user.name = :user", {"08100122-EF", "12100409-ST"}),
        ("o LEFT JOIN o.publications p WHERE p.id IS NULL", {"08100122-EF", "12100409-ST"}),
    ],
)
async def test_conditions_mean_what_jpql_says(door: Door, rest: str, names: set[str]) -> None:
    found = await door.find(f"SELECT DISTINCT o FROM Investigation {rest}")
    assert {row["Investigation"]["name"] for row in found} == names
    assert len(found) == len(names)


async def test_rows_and_columns_as_icat_writes_them(door: Door) -> None:
    [row] = await door.find("SELECT o FROM Investigation o WHERE o.name = '08100122-EF'")
    said = row["Investigation"]
    assert said.keys() == {
        "id", "createId", "createTime", "modId", "modTime", "doi", "fileCount", "fileSize", "name", "startDate", "title",
        "visitId",
    }, "nulls are left out, and relations"  # fmt: skip
    assert said["startDate"] == "2008-03-13T10:39:42.000Z"
    columns = "SELECT o.name, o.endDate, o.complete FROM Dataset o ORDER BY o.name LIMIT 0, 2"
    assert await door.find(columns) == [["e201215", None, False], ["e201216", None, False]]
    numbers = "SELECT o.numericValue FROM DatasetParameter o WHERE o.type.name = 'Magnetic field' ORDER BY o.numericValue"
    assert await door.find(numbers) == [2.7, 7.3]
    assert await door.find("SELECT MIN(o.fileSize) FROM Datafile o") == [394]
    assert await door.find("SELECT MAX(o.startDate) FROM Investigation o") == ["2012-07-26T15:44:24.000Z"]


async def test_dates_are_those_of_the_servers_zone(door: Door) -> None:
    door.world.zone = timezone(timedelta(hours=2))
    asked = "SELECT o.startDate FROM Investigation o WHERE o.startDate = {ts 2008-03-13 12:39:42}"
    assert await door.find(asked) == ["2008-03-13T12:39:42.000+02:00"]


async def test_pages_and_order(door: Door) -> None:
    everything = await door.find("SELECT o.name FROM Datafile o ORDER BY o.name DESC, o.id")
    assert everything == sorted(everything, reverse=True)
    assert len(everything) == 11
    paged = [
        name
        for at in range(0, 12, 4)
        for name in await door.find(f"SELECT o.name FROM Datafile o ORDER BY o.name DESC, o.id LIMIT {at}, 4")
    ]
    assert paged == everything
    assert await door.find("SELECT o.name FROM Datafile o ORDER BY o.name DESC, o.id LIMIT 9,*") == everything[9:]
    assert len(await door.find("SELECT DISTINCT o.name FROM Datafile o")) == 10
    ids = await door.find("SELECT o.id FROM Datafile o")
    assert ids == sorted(ids, reverse=True), "without an order the last made come first"


async def test_a_join_to_many_repeats_unless_distinct_is_said(door: Door) -> None:
    join = "FROM Investigation o JOIN o.datasets d WHERE o.name = '12100409-ST'"
    assert len(await door.find(f"SELECT o {join}")) == 4
    assert len(await door.find(f"SELECT DISTINCT o {join}")) == 1
    assert await door.find(f"SELECT COUNT(o) {join}") == [4]
    assert await door.find(f"SELECT COUNT(DISTINCT o) {join}") == [1]


async def test_a_path_that_leads_nowhere_takes_the_row_out(door: Door) -> None:
    either = "SELECT o.name FROM Dataset o WHERE o.name = 'pub-00027' OR o.sample.name = 'Durol SC'"
    assert set(await door.find(either)) == {"e201215", "e201216"}, "pub-00027 has no sample"


async def test_more_than_the_most_is_refused_included_rows_counted(door: Door) -> None:
    door.world.most = 10
    assert await door.refused("SELECT o FROM Datafile o") == (412, "VALIDATION")
    assert len(await door.find("SELECT o FROM Datafile o LIMIT 0, 10")) == 10
    assert await door.find("SELECT COUNT(o) FROM Datafile o") == [11]
    assert len(await door.find("SELECT o FROM Dataset o")) == 9
    assert await door.refused("SELECT o FROM Dataset o INCLUDE o.datafiles") == (412, "VALIDATION")


async def test_includes_hold_what_may_be_read_or_is_a_public_step(door: Door) -> None:
    asked = "SELECT o FROM Investigation o WHERE o.name = '08100122-EF' INCLUDE o.datasets AS d, d.datafiles, "
    asked += "o.investigationUsers.user, o.facility, d.sample LIMIT 0, 1"
    [row] = await door.find(asked, "db/jdoe")
    said = row["Investigation"]
    assert said["facility"]["name"] == "ESNF"
    assert {each["name"]: len(each["datafiles"]) for each in said["datasets"]} == {"e201215": 1, "e201216": 0}
    assert {each["sample"]["name"] for each in said["datasets"]} == {"Durol SC"}
    people = {each["user"]["name"] for each in said["investigationUsers"]}
    assert people == {"db/jbotu", "db/nbour", "db/rbeck"}, "by a public step: searched, the same rows are hidden"
    assert await door.find("SELECT o FROM InvestigationUser o", "db/jdoe") == []
    door.world.rows["PublicStep"].clear()
    [row] = await door.find(asked, "db/jdoe")
    assert row["Investigation"]["investigationUsers"] == []
    [row] = await door.find("SELECT o FROM Dataset o WHERE o.name = 'e201215' INCLUDE 1", "db/jdoe")
    assert {"investigation", "sample", "type"} <= row["Dataset"].keys()
    [row] = await door.find(
        "SELECT o FROM Dataset o WHERE o.name = 'pub-00027' INCLUDE o.investigation", "db/ahau"
    )
    assert "investigation" not in row["Dataset"], "published without its investigation"


async def test_access_is_asked_for_what_is_selected_alone(door: Door) -> None:
    asked = "SELECT d.name FROM Dataset d WHERE d.investigation.title LIKE 'NiO%'"
    assert await door.find(asked, "db/ahau") == ["pub-00027"], "WHERE sees an investigation that is hidden"
    title = "SELECT d.investigation.title FROM Dataset d WHERE d.name = 'pub-00027'"
    assert await door.find(title, "db/ahau") == []
    assert await door.find(title, "db/nbour") == ["NiO SC OF1 JUH HHL"]
    both = "SELECT d.name, d.investigation.title FROM Dataset d WHERE d.name = 'pub-00027'"
    assert await door.find(both, "db/ahau") == []


@pytest.mark.parametrize(
    "text",
    ["x' OR '1' = '1", "x' OR o.id IS NOT NULL OR 'a' = 'a", "' LIMIT 0, 1 INCLUDE o.datasets", "{ts 2012-01-01 00:00:00}",
     ":user", "a\tb\nc", "'; DROP TABLE Investigation; --", "\\' OR 1 = 1", "%", "’ OR ’", "\u202e\ud7ff"],
)  # fmt: skip
async def test_text_in_quotes_stays_text(door: Door, text: str) -> None:
    quoted = text.replace("'", "''")
    asked = f"SELECT o.id FROM Investigation o WHERE o.title = '{quoted}'"
    assert await door.find(asked) == []
    number = door.world.named("Investigation", "12100409-ST")
    door.world.rows["Investigation"][number]["title"] = text
    assert await door.find(asked) == [number]


async def test_text_that_leaves_its_quotes_is_seen_as_what_it_is(door: Door) -> None:
    """The stand-in does not save a client that forgets to double its quotes."""
    title = "x' OR 'a' = 'a"
    assert len(await door.find(f"SELECT o.id FROM Investigation o WHERE o.title = '{title}'")) == 3
    assert await door.refused("SELECT o.id FROM Investigation o WHERE o.title = 'O'Hara'") == (
        400,
        "BAD_PARAMETER",
    )


async def test_a_rule_of_an_unknown_shape_is_an_error_for_all_but_never_a_permission(door: Door) -> None:
    for what, flags in (
        ("Experiment", "R"),
        ("Investigation [name='x']", "R"),
        ("Investigation <-> Shift <-> Instrument <-> Dataset", "R"),
        ("Investigation <-> User [name=:user]", "R"),
        ("SELECT o FROM Investigation o WHERE o.colour = 1", "R"),
        ("SELECT o FROM Investigation o WHERE o.id IN (SELECT d.id FROM Dataset d)", "R"),
        ("SELECT o.doi FROM Investigation o", "R"),
        ("SELECT o FROM Investigation o ORDER BY o.name", "R"),
        ("Investigation", "RX"),
        ("", "R"),
    ):
        number = door.world.add("Rule", crudFlags=flags, what=what)
        for user in USERS:
            assert await door.refused("SELECT o FROM Investigation o", user) == (500, "INTERNAL"), what
        with pytest.raises(Refused, match="unknown"):
            build(door.world)
        del door.world.rows["Rule"][number]
    assert len(await door.find("SELECT o FROM Investigation o", "db/jdoe")) == 2


async def test_a_rule_without_where_gives_everything_as_in_icat(door: Door) -> None:
    door.world.add("Rule", crudFlags="R", what="SELECT o FROM Investigation o JOIN o.publications p",
                   grouping=door.world.named("Grouping", "investigation_08100122-EF_reader"))  # fmt: skip
    assert len(await door.find("SELECT o FROM Investigation o", "db/jdoe")) == 3
    assert len(await door.find("SELECT o FROM Investigation o", "db/ahau")) == 1
    door.world.add("Rule", crudFlags="CUD", what="Investigation")
    assert len(await door.find("SELECT o FROM Investigation o", "db/ahau")) == 3, "its flags are not looked at"
