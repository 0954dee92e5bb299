"""Run every benchmark."""

from bench import full_sweep, memory, page, synthetic

memory.main()
page.main()
synthetic.main()
full_sweep.main()
