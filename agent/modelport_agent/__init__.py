"""The helper in every model pod: fetch, prove, drain."""
