from django.db import migrations, models


def keep_epochs(apps, schema_editor):
    session = apps.get_model("facilities", "FacilitySession")
    for slug, epoch, since in apps.get_model("facilities", "Facility").objects.values_list(
        "slug", "epoch", "state_since"
    ):
        session.objects.create(slug=slug, epoch=epoch, lease_until=since)


class Migration(migrations.Migration):
    dependencies = [("facilities", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="FacilitySession",
            fields=[
                ("slug", models.CharField(max_length=40, primary_key=True, serialize=False)),
                ("version", models.PositiveBigIntegerField(default=0)),
                ("epoch", models.PositiveBigIntegerField(default=0)),
                ("hub_id", models.CharField(blank=True, max_length=80)),
                ("hub_address", models.CharField(blank=True, max_length=255)),
                ("session_id", models.CharField(blank=True, max_length=64)),
                ("instance_id", models.CharField(blank=True, max_length=64)),
                ("boot_counter", models.PositiveBigIntegerField(default=0)),
                ("store_id", models.CharField(blank=True, max_length=64)),
                ("past_instances", models.JSONField(default=list)),
                ("quarantined_why", models.CharField(blank=True, max_length=200)),
                ("lease_until", models.FloatField(null=True)),
                ("connected_at", models.FloatField(null=True)),
                ("last_ending", models.CharField(blank=True, max_length=20)),
                ("rtt", models.FloatField(null=True)),
                ("software", models.CharField(blank=True, max_length=40)),
                ("certificate_until", models.FloatField(null=True)),
            ],
        ),
        migrations.RunPython(keep_epochs, migrations.RunPython.noop),
        migrations.RemoveField(model_name="facility", name="epoch"),
        migrations.RemoveField(model_name="facility", name="state_since"),
    ]
