"""Jobs, v4, of the type `retrieve` as SciCat's recommended configuration has it.

Created under `#datasetAccess`, and refused for a dataset whose life cycle is not retrievable. A list is not what a list
of datasets is: there is no limit without one, `limits.sort` sorts nothing, and `$limit` comes before `$skip`.
"""

from __future__ import annotations

import json
import uuid
from typing import Any

from starlette.requests import Request

from tests.standins.scicat import access
from tests.standins.scicat.errors import Refused, unknown
from tests.standins.scicat.filters import checked, found, words
from tests.standins.scicat.mongo import Document
from tests.standins.scicat.world import SciCat, User, now

JOB_KEYS = words("""
    id _id ownerUser type statusCode statusMessage jobParams contactEmail configVersion jobResultObject ownerGroup
    accessGroups createdBy updatedBy createdAt updatedAt
""")
PROPERTIES = {"type", "jobParams", "ownerUser", "ownerGroup", "contactEmail"}


class Jobs:
    """The handlers of `jobs`."""

    def __init__(self, world: SciCat) -> None:
        self._world = world

    async def create(self, request: Request, user: User | None) -> Any:
        """A new job, if the user and its group may reach each dataset."""
        given = _body(await request.body())
        if given["type"] not in self._world.job_types:
            raise Refused(400, f"Invalid job type: {given['type']}", own=True)
        rows = self._datasets(given["jobParams"])
        who, group = self._owner(given, user)
        for row in rows:
            if not (row["ownerGroup"] == group or group in row["accessGroups"] or row["isPublished"]):
                raise Refused(403, "Unauthorized to create this job.")
        for row in rows:
            if row["datasetlifecycle"].get("retrievable") is not True:
                raise Refused(
                    400, "Invalid request. Invalid value for 'datasets[*].datasetlifecycle.retrievable'", own=True
                )
        name = str(uuid.uuid4())
        job = {"_id": name, "id": name, "type": given["type"], "jobParams": given["jobParams"], "ownerUser": who.username,
               "ownerGroup": group, "contactEmail": given.get("contactEmail", who.email), "statusCode": "jobSubmitted",
               "statusMessage": "Job submitted.", "jobResultObject": {}, "configVersion": "v1.0", "accessGroups": [],
               "createdBy": who.username, "updatedBy": who.username, "createdAt": now(), "updatedAt": now()}  # fmt: skip
        self._world.jobs.append(job)
        return job

    def _datasets(self, parameters: dict[str, Any]) -> list[Document]:
        listed = parameters.get("datasetList")
        if listed is None:
            raise Refused(400, "Dataset ids list was not provided in jobParams", own=True)
        if not isinstance(listed, list):
            raise Refused(400, "Invalid dataset list", own=True)
        if not listed:
            raise Refused(400, "List of passed datasets is empty.", own=True)
        for item in listed:
            if not isinstance(item, dict) or set(item) != {"pid", "files"}:
                raise Refused(400, "Dataset list is expected to contain sets of pid and files.", own=True)
            if not isinstance(item["pid"], str) or not isinstance(item["files"], list):
                raise Refused(400, "In datasetList each 'pid' field should be a string.", own=True)
            if item["files"]:
                raise unknown("a retrieval of single files")
        rows = {row["pid"]: row for row in self._world.datasets}
        if missing := [item["pid"] for item in listed if item["pid"] not in rows]:
            raise Refused(400, f"Datasets with pid {','.join(missing)} do not exist.", own=True)
        return [rows[item["pid"]] for item in listed]

    def _owner(self, given: dict[str, Any], user: User | None) -> tuple[User, str]:
        if user is None:
            raise unknown("a job of nobody")
        if access.is_admin(user):
            if given.get("ownerUser") != user.username or not given.get("ownerGroup"):
                raise unknown("an administrator's job for somebody else, or without a group")
            return user, given["ownerGroup"]
        if not given.get("ownerGroup"):
            raise Refused(400, "Invalid new job. Owner group should be specified.", own=True)
        if given.get("ownerUser") not in (None, user.username):
            raise Refused(400, "Invalid new job. User owning the job should match user logged in.", own=True)
        if given["ownerGroup"] not in user.groups:
            raise Refused(400, "Invalid new job. User needs to belong to job owner group.", own=True)
        return user, given["ownerGroup"]

    async def list(self, request: Request, user: User | None) -> Any:
        """One's own jobs, and those of one's groups."""
        who = access.signed_in(user)
        rows = [job for job in self._world.jobs if self._reads(who, job)]
        asked = checked(request.query_params.get("filter"), JOB_KEYS)
        if unexpected := {*asked} - {"where", "fields", "limits"}:
            raise unknown(f"{unexpected} in a filter of jobs")
        limits = asked.get("limits") or {}
        limit = limits.get("limit") or len(rows) or 1
        listed = found(
            rows, {key: asked[key] for key in ("where", "fields") if key in asked}, {"limit": limit, "sort": {}}
        )
        return listed[limits.get("skip") or 0 :]

    async def get(self, request: Request, user: User | None) -> Any:
        """One job."""
        who = access.signed_in(user)
        checked(request.query_params.get("filter"), JOB_KEYS, ("include", "fields"))
        job = next((job for job in self._world.jobs if job["id"] == request.path_params["id"]), None)
        if job is None:
            raise Refused(400, "Invalid job id.", own=True)
        if not self._reads(who, job):
            raise Refused(403, "Unauthorized to get this job.")
        return job

    @staticmethod
    def _reads(user: User, job: Document) -> bool:
        return access.is_admin(user) or job["ownerUser"] == user.username or job["ownerGroup"] in user.groups


def _body(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body or b"{}")
    except ValueError as error:
        raise Refused(400, str(error)) from None
    if not isinstance(value, dict):
        raise unknown("a body that is no object")
    wrong = [f"property {key} should not exist" for key in value if key not in PROPERTIES]
    if not isinstance(value.get("type"), str):
        wrong.append("type must be a string")
    if not isinstance(value.get("jobParams"), dict):
        wrong.append("jobParams must be an object")
    if "contactEmail" in value and "@" not in str(value["contactEmail"]):
        wrong.append("contactEmail must be an email")
    if wrong:
        raise Refused(400, wrong)
    return value
