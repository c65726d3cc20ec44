"""Tables, migrations, the engine and one repository per aggregate."""
