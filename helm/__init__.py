"""Generates parts of the Helm chart: README, schema of the values, rules, dashboards."""
