"""One row per facility that ever took part, and one for its session."""

from django.db import models


class Facility(models.Model):
    """What a facility said of itself last."""

    slug = models.CharField(max_length=40, primary_key=True)
    description = models.BinaryField(null=True)
    described_at = models.FloatField(null=True)


class FacilitySession(models.Model):
    """Where a facility's agent is connected. All times are POSIX seconds of the database's clock.

    `epoch` is the fencing number: whoever writes for a session does so only while it is still this one.
    The session is alive until `lease_until`; `connected_at` is since when, without a gap. `version` rises with
    every change that is shown. `past_instances` are processes that a later one replaced.
    """

    slug = models.CharField(max_length=40, primary_key=True)
    version = models.PositiveBigIntegerField(default=0)
    epoch = models.PositiveBigIntegerField(default=0)
    hub_id = models.CharField(max_length=80, blank=True)
    hub_address = models.CharField(max_length=255, blank=True)
    session_id = models.CharField(max_length=64, blank=True)
    instance_id = models.CharField(max_length=64, blank=True)
    boot_counter = models.PositiveBigIntegerField(default=0)
    store_id = models.CharField(max_length=64, blank=True)
    past_instances = models.JSONField(default=list)
    quarantined_why = models.CharField(max_length=200, blank=True)
    lease_until = models.FloatField(null=True)
    connected_at = models.FloatField(null=True)
    last_ending = models.CharField(max_length=20, blank=True)
    rtt = models.FloatField(null=True)
    software = models.CharField(max_length=40, blank=True)
    certificate_until = models.FloatField(null=True)


class FacilityHead(models.Model):
    """The highest head of a facility's egress log that its agent ever said, and what contradicted it first."""

    slug = models.CharField(max_length=40, primary_key=True)
    sequence = models.PositiveBigIntegerField(default=0)
    hash = models.CharField(max_length=64, blank=True)
    said_at = models.FloatField(null=True)
    complaint = models.CharField(max_length=200, blank=True)
    complained_at = models.FloatField(null=True)
