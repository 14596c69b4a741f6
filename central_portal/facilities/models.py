"""One row per facility that ever took part; the configuration says which of them may connect now."""

from django.db import models


class Facility(models.Model):
    """What outlives a restart of the centre: the fencing epoch and the last description."""

    slug = models.CharField(max_length=40, primary_key=True)
    epoch = models.PositiveBigIntegerField(default=0)
    description = models.BinaryField(null=True)
    described_at = models.FloatField(null=True)
    state_since = models.FloatField(null=True)
