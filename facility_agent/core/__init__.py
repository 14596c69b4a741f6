"""The facility's rules. No vendor, no gRPC, no SQL."""
