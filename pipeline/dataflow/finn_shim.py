"""Makes FINN importable where no Vivado is installed.

FINN loads Vivado's simulator as soon as its operators are imported.  We never simulate with it,
so an empty class in its place is enough.  Import this module before anything else of FINN.
"""

import finn.xsi

if "SimEngine" not in vars(finn.xsi):
    finn.xsi.SimEngine = type("SimEngine", (), {})
