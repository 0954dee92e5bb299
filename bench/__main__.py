"""Run every benchmark."""

from bench import entities, full_sweep, many_hubs, memory, page, steady, synthetic

memory.main()
page.main()
synthetic.main()
many_hubs.main()
full_sweep.main()
steady.main()
entities.main()
