"""Jobs on Kubernetes: a RayJob made from the template that the chart installed."""
