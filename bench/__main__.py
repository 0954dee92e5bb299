"""Run every benchmark."""

from bench import full_sweep, many_hubs, memory, page, synthetic

memory.main()
page.main()
synthetic.main()
many_hubs.main()
full_sweep.main()
