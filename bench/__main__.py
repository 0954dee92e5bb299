"""Run every benchmark."""

from bench import (
    census,
    entities,
    families,
    full_sweep,
    many_hubs,
    memory,
    page,
    scrape,
    state,
    steady,
    synthetic,
)

memory.main()
page.main()
state.main()
scrape.main()
synthetic.main()
many_hubs.main()
census.main()
full_sweep.main()
steady.main()
entities.main()
families.main()
