"""Figures, each beside a floor measured in the same run. Ratios and CPU time count, not wall clock."""
