"""The ``runai`` command. It speaks REST and nothing else, and imports nothing of the control plane."""
