"""A shop: orders, payments, approvals, reports and imports, as teams write them."""

from emulator.engine.functions import Functions
from emulator.samples.shop import office, sales, stock

functions = Functions()
for part in (sales, office, stock):
    functions.include(part.functions)
