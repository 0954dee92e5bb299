"""Run every benchmark."""

from bench import many_hubs, memory, page, scrape, synthetic

memory.main()
page.main()
scrape.main()
synthetic.main()
many_hubs.main()
