"""The generated parts of the Helm chart: its README and the schema of its values."""
