"""Contract suites of the ports: an adapter's author subclasses them in their own tests."""
