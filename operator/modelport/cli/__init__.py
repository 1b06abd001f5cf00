"""The command line. Must never be imported by anything else of ours."""
