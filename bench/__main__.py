"""Run every benchmark."""

from bench import page, synthetic

page.main()
synthetic.main()
