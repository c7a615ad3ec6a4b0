"""The routes, one file per group; each is thin: validated request in, one call of the service, answer out."""
