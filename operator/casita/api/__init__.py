"""The AnalysisSession contract, version casita.dev/v1alpha1. Imports nothing else of casita."""
