"""Who people are at this facility."""
