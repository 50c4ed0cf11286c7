"""k8scap: from a container's network namespace to the answer in a notebook."""
