"""What people have asked facilities to start, and what became of it."""
