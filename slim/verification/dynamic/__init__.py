"""Trying what is about to be published: private deployments, a sandbox, and checks before against after."""
