"""The federated search: live, merged, with an outcome per facility. Nothing is stored."""
