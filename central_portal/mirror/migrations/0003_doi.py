"""Datasets are found by their DOIs: what is held already learns its own."""

from django.db import migrations, models

from shared.dois import canonical
from shared.wire.catalogue import decode_dataset

BATCH = 500


def learn(apps, _):
    rows = apps.get_model("mirror", "OpenRecord").objects
    after = 0
    while batch := list(rows.filter(kind="d", gone=False, id__gt=after).order_by("id")[:BATCH]):
        named = []
        for row in batch:
            row.doi = canonical(decode_dataset(bytes(row.payload)).doi) or None
            if row.doi:
                named.append(row)
        rows.bulk_update(named, ["doi"])
        after = batch[-1].id


class Migration(migrations.Migration):

    dependencies = [("mirror", "0002_title_and_year")]

    operations = [
        migrations.AddField("openrecord", "doi", models.CharField(max_length=300, null=True)),
        migrations.RunPython(learn, migrations.RunPython.noop),
        migrations.AddIndex(
            "openrecord",
            models.Index(fields=["doi", "kind", "facility"], name="open_record_doi", condition=models.Q(doi__isnull=False)),
        ),
    ]
