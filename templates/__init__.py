"""Jinja2 templates, and the one place that renders them."""
