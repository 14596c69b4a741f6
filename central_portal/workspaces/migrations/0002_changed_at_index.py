from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("workspaces", "0001_initial")]

    operations = [
        migrations.AlterField(
            model_name="workspace", name="changed_at", field=models.FloatField(db_index=True)
        ),
    ]
