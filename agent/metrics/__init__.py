"""Raw measurements to samples: parses what exporters and kubelets say, joins it to pods and workloads. Pure."""
