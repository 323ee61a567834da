"""Charts, dashboards and reports over the time series; no tables of its own yet."""
