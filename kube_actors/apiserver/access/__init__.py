"""Access to the API: who asks (tokens, impersonation), who may do what (RBAC, nodes), and what is said about it."""
