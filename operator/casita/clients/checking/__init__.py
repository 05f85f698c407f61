"""Checks of the site's own parts, each by the real client in a process of its own.

`request` is what both sides speak, `process` has the program run, and the other modules are the
program: it is what an AnalysisSession's pods and jobs do, done once by the operator.
"""
