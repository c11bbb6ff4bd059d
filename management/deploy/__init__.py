"""Putting agents on hosts over SSH: desired state, one look at the host, and Ansible only when they differ."""
