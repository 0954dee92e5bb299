"""
HTTP/1.1 over asyncio for one thing only: whole GET requests, again and again, to few servers.

It stands under httpx in the place of httpx's own transport, raises the same errors, and costs a
tenth of the processor time (bench/RESULTS.md). What goes through a proxy does not come here.
"""
