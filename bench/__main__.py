"""Run every benchmark."""

from bench import entities, full_sweep, many_hubs, memory, page, scrape, steady, synthetic

memory.main()
page.main()
scrape.main()
synthetic.main()
many_hubs.main()
full_sweep.main()
steady.main()
entities.main()
