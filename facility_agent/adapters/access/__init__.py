"""Who may use the facility, and which proposals are theirs."""
