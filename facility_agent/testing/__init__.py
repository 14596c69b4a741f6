"""For authors of adapters: contract suites to subclass in their own tests, and adapters that live in memory."""
