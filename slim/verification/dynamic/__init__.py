"""Trial of what is about to be published: private deployments, a sandbox, checks of both."""
