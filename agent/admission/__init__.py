"""What may come into the cluster: pure decisions on AdmissionReview requests. ``agent.loops.webhook`` serves them."""
