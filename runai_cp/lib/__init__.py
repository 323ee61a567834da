"""What we would have liked to find in Django or DRF. Knows no model of ours; imports no room."""
