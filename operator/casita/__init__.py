"""casita: an analysis facility in one Helm chart, kept true by one operator."""
