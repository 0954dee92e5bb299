"""Run every benchmark."""

from bench import page

page.main()
