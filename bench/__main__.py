"""Run every benchmark."""

from bench import memory, page, synthetic

memory.main()
page.main()
synthetic.main()
