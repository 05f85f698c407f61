"""The status page: a service of the hub that shows people their sessions, live.

One watch of the sessions serves all who look, and what the hub knows of servers is asked for now
and then; nobody's look costs a request.
"""
