"""How protected data is read: tokens as files that their readers accept, and XRootD by fsspec.

Runs in every pod that needs a file of a Secret as its own: notebooks, caches, batch daemons. What
is here knows neither the operator nor Dask, and `deliver` needs nothing but Python.
"""
