"""Run every benchmark."""

from bench import many_hubs, memory, page, synthetic

memory.main()
page.main()
synthetic.main()
many_hubs.main()
