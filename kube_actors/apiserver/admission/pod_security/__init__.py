"""PodSecurity: the Pod Security Standards, by labels on the namespace."""
