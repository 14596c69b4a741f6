"""One row per workspace that somebody asked for; the facility's reports are folded into it."""

from django.db import models


class Workspace(models.Model):
    """Times are POSIX seconds of the centre's clock. `steps` is a list of [name, entered_at, detail]."""

    id = models.UUIDField(primary_key=True)
    person = models.ForeignKey("identity.Person", on_delete=models.CASCADE, related_name="workspaces")
    facility = models.CharField(max_length=40)
    environment = models.CharField(max_length=100)
    environment_title = models.CharField(max_length=200)
    flavour = models.CharField(max_length=100)
    proposals = models.JSONField(default=list)
    dataset = models.CharField(max_length=512, blank=True)
    title = models.CharField(max_length=200)
    lifetime_s = models.PositiveIntegerField()
    state = models.CharField(max_length=12)
    sequence = models.PositiveBigIntegerField(default=0)
    steps = models.JSONField(default=list)
    reason = models.CharField(max_length=64, blank=True)
    message = models.CharField(max_length=1000, blank=True)
    requested_at = models.FloatField(db_index=True)
    changed_at = models.FloatField(db_index=True)
    seen_at = models.FloatField(null=True)
    ends_at = models.FloatField(null=True)
    stop_requested_at = models.FloatField(null=True)
