"""Orders as rows: the truth about what facilities were asked to do exactly once."""

from django.db import models
from django.db.models import Q

from central_portal.link.ports import OPEN_STATES


class Order(models.Model):
    """One order. Times are POSIX seconds of the centre's clock; `body` and `mac` are emptied when it is settled."""

    id = models.UUIDField(primary_key=True)
    facility = models.CharField(max_length=40)
    verb = models.CharField(max_length=32)
    person = models.PositiveBigIntegerField()  # no foreign key: the link lies below identity
    workspace = models.UUIDField(null=True, db_index=True)
    body = models.BinaryField()
    grant_id = models.CharField(max_length=100)
    mac = models.BinaryField()
    traceparent = models.CharField(max_length=55, blank=True)
    state = models.CharField(max_length=10)
    created_at = models.FloatField()
    expires_at = models.FloatField(null=True)
    accepted_at = models.FloatField(null=True)
    settled_at = models.FloatField(null=True)
    epoch = models.PositiveBigIntegerField(default=0)
    outcome = models.CharField(max_length=16, blank=True)
    problem = models.JSONField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["facility", "created_at"], condition=Q(state__in=OPEN_STATES), name="order_open"),
        ]
