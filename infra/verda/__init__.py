"""Verda: rented GPU machines, their volumes, serverless deployments, as Pulumi resources over the official SDK."""
